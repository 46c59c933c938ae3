"""A predictive GPU autoscaler for Kubernetes."""
