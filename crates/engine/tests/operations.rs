//! Every operation against its definition in f64, its gradient against finite differences of that
//! definition, and its bits over instruction sets and thread counts.

mod common;

use common::{Case, cases};
use engine::Tensor;
use kernels::Isa;

fn cotangent(case: &mut Case) -> Vec<f32> {
    let len = case.reference().data.len();
    case.random(len).into_iter().map(|x| x as f32).collect()
}

fn close(name: &str, what: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}: {what}");
    let size = expected.iter().fold(1.0f64, |m, x| m.max(x.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((f64::from(*g) - e).abs() <= tolerance * size, "{name}: {what}[{i}] is {g}, should be {e}");
    }
}

#[test]
fn forward_equals_the_definition() {
    for mut case in cases() {
        let cotangent = cotangent(&mut case);
        for isa in Isa::available() {
            let got = case.run(isa, 1, &cotangent);
            close(&format!("{} on {isa}", case.name), "output", &got[0], &case.reference().data, 2e-6);
        }
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for mut case in cases().into_iter().filter(|case| case.differentiable) {
        let cotangent = cotangent(&mut case);
        let got = case.run(Isa::best(), 1, &cotangent);
        let objective = |case: &Case| {
            let y: Tensor = case.reference();
            y.data.iter().zip(&cotangent).map(|(y, c)| y * f64::from(*c)).sum::<f64>()
        };
        for (i, (name, _)) in case.wrt.clone().iter().enumerate() {
            let len = case.given[name].data.len();
            // Large tensors are probed at every few elements; the count is odd to meet all columns.
            let stride = (len / 60).max(1) | 1;
            for j in (0..len).step_by(stride) {
                let step = 1e-4;
                let mut at = |delta: f64| {
                    case.given.get_mut(name).unwrap().data[j] += delta;
                    let value = objective(&case);
                    case.given.get_mut(name).unwrap().data[j] -= delta;
                    value
                };
                let slope = (at(step) - at(-step)) / (2.0 * step);
                let (found, size) = (f64::from(got[i + 1][j]), slope.abs().max(1.0));
                assert!(
                    (found - slope).abs() < 2e-5 * size,
                    "{}: d{name}[{j}] is {found}, should be {slope}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_on_vector_width() {
    for mut case in cases() {
        let cotangent = cotangent(&mut case);
        let bits = |isa, threads| {
            let all = case.run(isa, threads, &cotangent);
            all.into_iter().map(|x| x.into_iter().map(f32::to_bits).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let one = bits(Isa::best(), 1);
        for threads in [2, 3, 7] {
            assert!(bits(Isa::best(), threads) == one, "{} with {threads} threads", case.name);
        }
        for isa in
            Isa::available().into_iter().filter(|isa| *isa != Isa::Portable && Isa::best() != Isa::Portable)
        {
            assert!(bits(isa, 2) == one, "{} on {isa}", case.name);
        }
    }
}
