"""What all parts of the user's object share: strict fields, and rules between fields that Python and CEL both check."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

RULE_BROKEN = "rule_broken"


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold between the fields of one model.

    Attributes:
        field: YAML name of the field that an error is reported at.
        holds: whether a model obeys; called with a model whose fields are each valid.
        cel: the same in CEL, over `self`; '' where the schema says it in another way.
        message: what is wrong and what to do; '{minReplicas}' stands for that field's value.
    """

    field: str
    holds: Callable[[Any], bool]
    cel: str
    message: str

    def broken_by(self, model: Model) -> str:
        """The message for a model that breaks the rule."""
        values = model.to_manifest()
        return re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1])), self.message)

    def to_cel(self) -> dict[str, str]:
        """An entry of x-kubernetes-validations."""
        rule = {"rule": self.cel, "message": re.sub(r",? got \{\w+\}| \(\{\w+\}\)", "", self.message)}
        fields = re.findall(r"\{(\w+)\}", self.message)
        if fields:
            # Not with `+ string(...) +`: the API server takes the text of a number as unbounded, and refuses the CRD.
            text = _quoted(re.sub(r"\{\w+\}", "%s", self.message.replace("%", "%%")))
            rule["messageExpression"] = f"{text}.format([{', '.join(f'self.{field}' for field in fields)}])"
        return rule | self._place()

    def _place(self) -> dict[str, str]:
        return {"fieldPath": f".{self.field}"} if self.field else {}


class Model(BaseModel):
    """Frozen; YAML names are in camel case; an unknown field is a mistake. Validators check and never rewrite."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, allow_inf_nan=False
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey(self) -> Self:
        broken = [
            InitErrorDetails(
                type=PydanticCustomError(RULE_BROKEN, "{text}", {"text": rule.broken_by(self)}),
                loc=(rule.field,),
                input=None,
            )
            for rule in self.rules
            if not rule.holds(self)
        ]
        if broken:
            raise ValidationError.from_exception_data(type(self).__name__, broken)
        return self

    def to_manifest(self) -> dict[str, Any]:
        """As in YAML: camel case, durations as text, absent where None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
