// Callers calls an external scaler as KEDA does, for many ScaledObjects, with KEDA's own client code.
//
// Each object is polled once per second by GetMetricSpec, GetMetrics and IsActive, one after the other, all on one
// connection as KEDA's are; the polls are spread over the second. A command is a JSON line on standard input,
// {"seconds": 60}; its answer has the calls, what they took, those that failed, and how late the polls began.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"sort"
	"strconv"
	"sync"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const (
	metric   = "headstart-replicas"
	deadline = 3 * time.Second
	// What KEDA dials with.
	serviceConfig = `{"loadBalancingConfig": [{"round_robin":{}}]}`
)

type command struct {
	Seconds int `json:"seconds"`
}

// summary has times in milliseconds.
type summary struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type answer struct {
	Calls  map[string]int     `json:"calls"`
	Ms     map[string]summary `json:"ms"`
	LateMs summary            `json:"late_ms"`
	Failed map[string]int     `json:"failed"`
}

// notes are what one object's calls took; each goroutine has its own, so that none waits for another.
type notes struct {
	took   map[string][]time.Duration
	late   []time.Duration
	failed map[string]int
}

func main() {
	// Garbage collected on the two cores that the scaler runs on, too, would be measured as the scaler's delay.
	debug.SetGCPercent(1600)
	if len(os.Args) != 3 {
		log.Fatal("usage: callers ADDRESS OBJECTS")
	}
	objects, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatalf("%q is no count of objects", os.Args[2])
	}
	connection, err := grpc.NewClient(os.Args[1], grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	client := pb.NewExternalScalerClient(connection)
	say := json.NewEncoder(os.Stdout)
	_ = say.Encode(struct{}{})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var asked command
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		if err := say.Encode(run(client, objects, asked.Seconds)); err != nil {
			log.Fatal(err)
		}
	}
}

func run(client pb.ExternalScalerClient, objects, seconds int) answer {
	all := make([]*notes, objects)
	start := time.Now().Add(100 * time.Millisecond)
	var running sync.WaitGroup
	for number := range all {
		first := start.Add(time.Second * time.Duration(number) / time.Duration(objects))
		all[number] = &notes{took: map[string][]time.Duration{}, failed: map[string]int{}}
		running.Go(func() { poll(client, refOf(number), first, seconds, all[number]) })
	}
	running.Wait()
	return summed(all)
}

// refOf is the trigger of one object; the stand-in for Prometheus knows its query.
func refOf(number int) *pb.ScaledObjectRef {
	return &pb.ScaledObjectRef{Name: fmt.Sprintf("m-%d", number), Namespace: "team", ScalerMetadata: map[string]string{
		"scalerAddress":      "headstart:9090",
		"query":              fmt.Sprintf(`sum(rate(http_requests_total{service="m-%d"}[1m]))`, number),
		"capacityPerReplica": "7",
		"loadLatency":        "60s",
		"maxReplicas":        "200",
	}}
}

func poll(client pb.ExternalScalerClient, ref *pb.ScaledObjectRef, first time.Time, seconds int, into *notes) {
	for second := range seconds {
		due := first.Add(time.Duration(second) * time.Second)
		time.Sleep(time.Until(due))
		into.late = append(into.late, time.Since(due))
		into.timed("GetMetricSpec", func(ctx context.Context) error {
			_, err := client.GetMetricSpec(ctx, ref)
			return err
		})
		into.timed("GetMetrics", func(ctx context.Context) error {
			_, err := client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: ref, MetricName: metric})
			return err
		})
		into.timed("IsActive", func(ctx context.Context) error {
			_, err := client.IsActive(ctx, ref)
			return err
		})
	}
}

func (n *notes) timed(call string, ask func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	begin := time.Now()
	err := ask(ctx)
	n.took[call] = append(n.took[call], time.Since(begin))
	if err != nil {
		n.failed[fmt.Sprintf("%s: %s", call, status.Code(err))]++
	}
}

func summed(all []*notes) answer {
	took, late, failed := map[string][]time.Duration{}, []time.Duration{}, map[string]int{}
	for _, each := range all {
		late = append(late, each.late...)
		for call, durations := range each.took {
			took[call] = append(took[call], durations...)
		}
		for what, count := range each.failed {
			failed[what] += count
		}
	}
	result := answer{Calls: map[string]int{}, Ms: map[string]summary{}, LateMs: summaryOf(late), Failed: failed}
	for call, durations := range took {
		result.Calls[call] = len(durations)
		result.Ms[call] = summaryOf(durations)
	}
	return result
}

func summaryOf(durations []time.Duration) summary {
	if len(durations) == 0 {
		return summary{}
	}
	sort.Slice(durations, func(i, j int) bool { return durations[i] < durations[j] })
	at := func(share float64) float64 {
		return durations[int(share*float64(len(durations)-1))].Seconds() * 1_000
	}
	return summary{P50: at(0.5), P99: at(0.99), Max: at(1)}
}
