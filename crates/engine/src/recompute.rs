//! Recomputation of activations: less memory for more arithmetic, the same bits.

use crate::{Error, Graph, Source, Value};
use std::collections::{HashMap, HashSet};

/// Rewrites the nodes from `forward` on (the gradient) so that of the values made before it they
/// read only those of `keep`; whatever else they need is computed again from these, just before its
/// first use. `keep` is typically the residual stream between layers.
pub fn recompute(graph: &mut Graph, forward: usize, keep: &[Value]) -> Result<(), Error> {
    let keep: HashSet<Value> = keep.iter().copied().collect();
    let backward = graph.nodes.split_off(forward);
    // Values of the cut nodes get new numbers as the nodes are applied again.
    let mut renamed: HashMap<Value, Value> = HashMap::new();
    for node in backward {
        let inputs = node
            .inputs
            .iter()
            .map(|&v| again(graph, v, forward, &keep, &mut renamed))
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = graph.apply_arc(node.operation, &inputs)?;
        renamed.extend(node.outputs.iter().copied().zip(outputs));
    }
    for (&old, &new) in &renamed {
        if matches!(graph.source(old), Source::Node(node, _) if *node >= forward) {
            graph.replace(old, new);
        }
    }
    graph.chain_replacements();
    Ok(())
}

fn again(
    graph: &mut Graph,
    v: Value,
    forward: usize,
    keep: &HashSet<Value>,
    renamed: &mut HashMap<Value, Value>,
) -> Result<Value, Error> {
    if let Some(&new) = renamed.get(&v) {
        return Ok(new);
    }
    match *graph.source(v) {
        Source::Node(node, _) if node < forward && !keep.contains(&v) => {
            let node = graph.nodes[node].clone();
            let inputs = node
                .inputs
                .iter()
                .map(|&i| again(graph, i, forward, keep, renamed))
                .collect::<Result<Vec<_>, _>>()?;
            let outputs = graph.apply_arc(node.operation, &inputs)?;
            for (old, new) in node.outputs.into_iter().zip(outputs) {
                renamed.entry(old).or_insert(new);
            }
            Ok(renamed[&v])
        }
        _ => Ok(v),
    }
}
