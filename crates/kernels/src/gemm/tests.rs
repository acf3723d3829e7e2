//! Products against a scalar twin, and their bits over sets, threads, rows and blocks.

use super::*;
use crate::Isa;
use crate::testing::{bits, numbers};
use proptest::prelude::*;

/// The scalar twin: one chain a element, in the arithmetic of the set.
fn reference(
    fused: bool,
    (m, n, k): (usize, usize, usize),
    a: View<'_>,
    b: View<'_>,
    c: &mut [f32],
    init: Init<'_>,
) {
    for i in 0..m {
        for j in 0..n {
            let mut sum = if matches!(init, Init::Accumulate) { c[i * n + j] } else { 0.0 };
            for l in 0..k {
                let (x, y) = (a.data[i * a.row + l * a.col], b.data[l * b.row + j * b.col]);
                sum = if fused { x.mul_add(y, sum) } else { x * y + sum };
            }
            c[i * n + j] = if let Init::Add(add) = init { sum + add[i * n + j] } else { sum };
        }
    }
}

/// The strides of an operand [rows, columns] in one of three layouts.
fn strides(layout: u8, rows: usize, columns: usize) -> (usize, usize, usize) {
    match layout {
        0 => (columns, 1, rows * columns),
        1 => (1, rows, rows * columns),
        _ => (2 * columns + 1, 2, (2 * columns + 1) * rows.max(1)),
    }
}

fn check(m: usize, n: usize, k: usize, layouts: (u8, u8), init: u8, threads: usize) {
    let (a_row, a_col, a_len) = strides(layouts.0, m, k);
    let (b_row, b_col, b_len) = strides(layouts.1, k, n);
    let (a, b, add) = (numbers(a_len, 1), numbers(b_len, 2), numbers(m * n, 3));
    let (a, b) = (View { data: &a, row: a_row, col: a_col }, View { data: &b, row: b_row, col: b_col });
    let what = format!("{m}x{n}x{k} {layouts:?} init {init} with {threads} threads");
    let init = [Init::Zero, Init::Accumulate, Init::Add(&add)][init as usize];
    for isa in Isa::available() {
        let cpu = Cpu::new(isa, threads).unwrap();
        let mut expected = numbers(m * n, 4);
        reference(isa != Isa::Portable, (m, n, k), a, b, &mut expected, init);
        let mut c = numbers(m * n, 4);
        let mut scratch = vec![f32::NAN; gemm_scratch(threads, m, n, k)];
        gemm(&cpu, m, n, k, a, b, &mut c, init, &mut scratch);
        assert!(bits(&c) == bits(&expected), "{isa} {what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn equals_the_scalar_chain(
        m in 0usize..40, n in 0usize..70, k in 0usize..50,
        a in 0u8..3, b in 0u8..3, init in 0u8..3, threads in 1usize..4,
    ) {
        check(m, n, k, (a, b), init, threads);
    }
}

#[test]
fn scratch_for_a_product_is_enough_for_a_smaller_one() {
    for k in 1..2000 {
        assert!(gemm_scratch(2, 40, 200, k) <= gemm_scratch(2, 40, 200, k + 1), "{k}");
        assert!(gemm_scratch(2, k, 200, 500) <= gemm_scratch(2, k + 1, 200, 500), "{k}");
        assert!(gemm_scratch(2, 40, k, 500) <= gemm_scratch(2, 40, k + 1, 500), "{k}");
    }
}

#[test]
fn large_products_cross_all_blocks() {
    for layouts in [(0, 0), (0, 1), (1, 0)] {
        check(200, 130, 391, layouts, 2, 2);
        check(30, 1100, 40, layouts, 1, 3);
        check(5, 300, 800, layouts, 0, 7);
        check(129, 200, 769, layouts, 1, 1);
    }
}

#[test]
fn a_row_alone_has_the_same_bits() {
    let (m, n, k) = (37, 75, 410);
    let (x, w) = (numbers(m * k, 5), numbers(n * k, 6));
    let weight = View { data: &w, row: 1, col: k };
    for isa in Isa::available() {
        let cpu = Cpu::new(isa, 2).unwrap();
        let run = |first: usize, rows: usize| {
            let mut c = vec![0.0; rows * n];
            let mut scratch = vec![0.0; gemm_scratch(2, rows, n, k)];
            let view = View { data: &x[first * k..], row: k, col: 1 };
            gemm(&cpu, rows, n, k, view, weight, &mut c, Init::Zero, &mut scratch);
            c
        };
        let all = run(0, m);
        for (first, rows) in [(0, 1), (36, 1), (5, 7), (3, 20)] {
            assert!(
                bits(&run(first, rows)) == bits(&all[first * n..][..rows * n]),
                "{isa} rows {first}..+{rows}"
            );
        }
    }
}
