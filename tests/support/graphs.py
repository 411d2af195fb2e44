"""What a traced function consists of."""


def operations_of(graph):
    """Returns the types of a graph's operations, those inside its calls included."""
    definition = graph.as_graph_def()
    bodies = [definition.node, *(function.node_def for function in definition.library.function)]
    return {node.op for body in bodies for node in body}
