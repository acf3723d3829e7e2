"""Runs the PyTorch peer with other sizes: peer.py torch_train.py [--rows N] [--shape key=N,…] -- step --size S.

The peer keeps its sizes in a table at its top and knows no options for them. This changes the table after it was made
and runs the rest of the file as it is. With --mean its median is the mean, so that times its steps it is what they took; with
--forward the step is the forward pass alone, without gradients.
"""
import argparse
import ast
import json
import statistics
import sys
import time

COLUMNS = ("width", "layers", "heads", "ffn", "seq", "rows", "vocab")


def change(sizes, changes):
    """Every size with the changed columns."""
    return {name: tuple(changes.get(key, value) for key, value in zip(COLUMNS, row)) for name, row in sizes.items()}


def forward(peer, a):
    """In the place of the peer's step: seconds of an evaluation of so many rows."""
    torch = peer["torch"]
    *shape, seq, rows, vocab = peer["SIZES"][a.size]
    model = peer["GPT"](*shape, seq, vocab)
    inputs, targets = torch.randint(0, vocab, (2, rows, seq))
    seconds = []
    with torch.no_grad():
        while len(seconds) < a.steps + 5 or sum(seconds[5:]) < a.seconds_min:
            start = time.perf_counter()
            model(inputs, targets).item()
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"peer": f"torch-{torch.__version__}-forward", "ms_median": 1e3 * statistics.median(seconds[5:])}))


def main():
    split = sys.argv.index("--")
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("peer")
    p.add_argument("--rows", type=int)
    p.add_argument("--shape", default="")
    p.add_argument("--mean", action="store_true")
    p.add_argument("--forward", action="store_true")
    options = p.parse_args(sys.argv[1:split])
    changes = {key: int(value) for key, value in (pair.split("=") for pair in options.shape.split(",") if pair)}
    if options.rows:
        changes["rows"] = options.rows
    unknown = set(changes) - set(COLUMNS)
    if unknown:
        sys.exit(f"--shape: {sorted(unknown)} are none of {COLUMNS}")
    with open(options.peer) as file:
        tree = ast.parse(file.read(), options.peer)
    place = [i for i, node in enumerate(tree.body)
             if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "SIZES"]
    if len(place) != 1:
        sys.exit(f"{options.peer}: it has no table SIZES")
    tree.body[place[0] + 1:place[0] + 1] = ast.parse("SIZES = _changed(SIZES)").body
    space = {"__name__": "__main__", "_changed": lambda sizes: change(sizes, changes)}
    if options.forward:
        space["_forward"] = lambda a: forward(space, a)
        tree.body[-1:-1] = ast.parse("step = _forward").body
    if options.mean:
        statistics.median = statistics.fmean
    sys.argv = [options.peer, *sys.argv[split + 1:]]
    exec(compile(tree, options.peer, "exec"), space)


main()
