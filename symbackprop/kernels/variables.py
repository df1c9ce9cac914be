"""What a value is called in a module: the variable of each result, the attribute of each array of the workspace."""

from __future__ import annotations

from symbackprop.graph.sizes import Shape
from symbackprop.kernels.buckets import Bucket
from symbackprop.kernels.identifiers import Identifiers
from symbackprop.kernels.memory import Array
from symbackprop.kernels.operations import Operation
from symbackprop.kernels.plan import Plan
from symbackprop.kernels.schedule import Loop

_CONSTANTS = {
    "zero_row": "zeros", "row_starts": "starts", "places": "places", "indicator": "mask", "coordinate": "positions",
    "fill": "filled", "logical_not": "unmasked", "limit": "limit",
}  # fmt: skip


class Variables:
    """Gives every result of a plan its variable, and every shape of an array of the workspace its attribute."""

    def __init__(self, plan: Plan, names: Identifiers) -> None:
        self.plan, self.names = plan, names
        self._variable: dict[Operation, str] = {}
        self._taken: set[str] = set()
        self._forms: dict[Array, dict[Shape, str]] = {}
        operations = plan.operations
        for operation in operations:
            if operation.kind == "given" or operation.name:
                self._name(operation)
        for operation in reversed(operations):
            self._name(operation)
            self._share(operation)
        for operation in operations:
            array = plan.array_of.get(operation)
            if array is not None:
                self._forms.setdefault(array, {}).setdefault(operation.shape, self._variable[operation])
        self._buckets = {bucket: names.fresh(f"bucket_{number}") for number, bucket in enumerate(plan.buckets, start=1)}
        self._loops = {loop: names.fresh(f"blocks_{number}") for number, loop in enumerate(plan.loops, start=1)}

    def _share(self, operation: Operation) -> None:
        """What is written over on the way to a value carries its name: z = W x, then z += b."""
        array = self.plan.array_of.get(operation)
        for operand in operation.operands:
            same = array is not None and self.plan.array_of.get(operand) is array and operand.shape == operation.shape
            if same and not operand.name and operand not in self._variable and operand.equation == operation.equation:
                self._variable[operand] = self._variable[operation]

    def _name(self, operation: Operation) -> None:
        if operation.kind in ("number", "align", "lowest") or operation in self._variable:
            return
        wish = self.names.of(operation.name) if operation.name else ""
        if not wish or (wish in self._taken and operation.kind != "given"):
            part = f"{self.names.of(operation.equation)}_part" if operation.equation else "value"
            if operation.storage == "constant":
                part = _CONSTANTS.get(operation.kind, part)
                part = "ones" if operation.kind == "fill" and operation.details["value"] == 1 else part
            wish = self.names.fresh(part)
        self._variable[operation] = wish
        self._taken.add(wish)

    def of(self, operation: Operation) -> str:
        """The variable of a result."""
        return self._variable[operation]

    def of_array(self, array: Array, shape: Shape) -> str:
        """The attribute of an array of the workspace, seen in one of the shapes its values have."""
        return self._forms[array][shape]

    def attribute(self, array: Array, shape: Shape, owner: str = "w") -> str:
        """The same with what it is an attribute of: the workspace ``owner``, or the arrays of one part of the batch."""
        return f"{'m' if array in self.plan.of_a_turn else owner}.{self.of_array(array, shape)}"

    def row_of_array(self, array: Array, shape: Shape) -> str:
        """The variable of the rows of an array that a loop works on."""
        return f"{self._forms[array][shape]}_rows"

    def forms(self, array: Array) -> list[tuple[Shape, str]]:
        """The shapes an array of the workspace is seen in, with their attributes, the largest first."""
        return list(self._forms[array].items())

    def bucket_name(self, bucket: Bucket) -> str:
        """The attribute of the flat array of a bucket."""
        return self._buckets[bucket]

    def loop_name(self, loop: Loop, owner: str = "w") -> str:
        """The attribute that holds the blocks of a loop, with what it is an attribute of."""
        return f"{'m' if self.plan.is_of_a_turn(loop) else owner}.{self._loops[loop]}"
