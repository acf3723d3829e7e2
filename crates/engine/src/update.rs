//! The optimiser's step over named stores: AdamW, Muon, norms, and sums of gradients.
//!
//! AdamW is Loshchilov and Hutter's (arXiv:1711.05101), with decay decoupled from the gradient.
//! Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) orthogonalises a matrix's Nesterov
//! momentum by five Newton–Schulz steps; its update is scaled by `0.2·√max(rows, columns)` so that
//! it moves as far as AdamW's and takes the same rates (Moonlight, arXiv:2502.16982, section 2.2).

use crate::store::arena;
use crate::{Error, Layout, Store};
use kernels::gemm::{Init, View, gemm, gemm_scratch};
use kernels::{Arena, Cpu, Span, activation, loss, optim};
use std::sync::Arc;

/// How one parameter is updated.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Parameter name.
    pub name: String,
    /// Which optimiser.
    pub kind: Kind,
    /// Factor on the run's learning rate.
    pub rate: f32,
    /// Decoupled weight decay, per unit of learning rate.
    pub decay: f32,
    /// Added to the root of the second moment (AdamW).
    pub epsilon: f32,
}

/// The optimisers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For everything.
    AdamW,
    /// For matrices.
    Muon,
}

/// Settings that all parameters share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Decay of AdamW's first moment.
    pub beta1: f32,
    /// Decay of AdamW's second moment.
    pub beta2: f32,
    /// Muon's momentum.
    pub momentum: f32,
}

/// The moments and what is needed to update all parameters of a layout.
pub struct Optimiser {
    cpu: Arc<Cpu>,
    settings: Settings,
    params: Arc<Layout>,
    first: Store,
    second: Store,
    adamw: Vec<Flat>,
    muon: Vec<Matrix>,
    scratch: Arena,
}

/// Neighbouring tensors with one rule, updated in one pass.
struct Flat {
    param: Span,
    /// Also of the gradient.
    first: Span,
    second: Span,
    rule: Rule,
}

struct Matrix {
    param: Span,
    /// Also of the gradient.
    first: Span,
    rows: usize,
    columns: usize,
    rule: Rule,
}

impl Optimiser {
    /// Moments (zero) for the parameters that `rules` name, each once; the others are frozen, and have none.
    pub fn new(
        cpu: &Arc<Cpu>,
        params: &Arc<Layout>,
        rules: &[Rule],
        settings: Settings,
    ) -> Result<Optimiser, Error> {
        let (first, second) = moments(params, rules)?;
        let (mut adamw, mut muon): (Vec<Flat>, Vec<Matrix>) = (Vec::new(), Vec::new());
        let mut words = loss::sum_scratch(first.words());
        for name in params.names() {
            let Some(rule) = rules.iter().find(|r| r.name == name).cloned() else { continue };
            let span = |layout: &Layout| {
                layout.span(name).ok_or_else(|| Error::Unknown { kind: "moment", name: name.into() })
            };
            let (param, moment) = (span(params)?, span(&first)?);
            match (rule.kind, params.shape(name)) {
                (Kind::Muon, Some(&[rows, columns])) => {
                    words = words.max(muon_words(cpu.threads(), rows, columns));
                    muon.push(Matrix { param, first: moment, rows, columns, rule });
                }
                (Kind::Muon, shape) => {
                    let (expected, got) = ("a matrix, as Muon needs".into(), format!("{shape:?}"));
                    return Err(Error::Size { name: name.into(), expected, got });
                }
                (Kind::AdamW, _) => {
                    let flat = Flat { param, first: moment, second: span(&second)?, rule };
                    match adamw.last_mut() {
                        Some(last) if last.follows(&flat) => last.extend(&flat),
                        _ => adamw.push(flat),
                    }
                }
            }
        }
        let (first, second) = (Store::new(&Arc::new(first))?, Store::new(&Arc::new(second))?);
        let scratch = arena(words)?;
        Ok(Optimiser {
            cpu: cpu.clone(),
            settings,
            params: params.clone(),
            first,
            second,
            adamw,
            muon,
            scratch,
        })
    }

    /// Bytes that an optimiser for these parameters and rules holds, without making it.
    pub fn bytes(params: &Layout, rules: &[Rule], threads: usize) -> Result<usize, Error> {
        let (first, second) = moments(params, rules)?;
        let matrices = rules.iter().filter(|r| r.kind == Kind::Muon).filter_map(|r| params.shape(&r.name));
        let words = matrices
            .map(|s| muon_words(threads, s[0], s[s.len() - 1]))
            .max()
            .unwrap_or(0)
            .max(loss::sum_scratch(first.words()));
        Ok(first.bytes() + second.bytes() + words * 4)
    }

    /// The layout of gradients: of the parameters that rules name, in their order.
    pub fn gradients(params: &Layout, rules: &[Rule]) -> Result<Layout, Error> {
        Ok(moments(params, rules)?.0)
    }

    /// Bytes held, as [`Optimiser::bytes`] foretells.
    pub fn bytes_held(&self) -> usize {
        self.first.layout().bytes() + self.second.layout().bytes() + self.scratch.len() * 4
    }

    /// First moments (AdamW's, and Muon's momenta) and second ones (AdamW's), by parameter name.
    pub fn moments(&self) -> (&Store, &Store) {
        (&self.first, &self.second)
    }

    /// As [`Optimiser::moments`], to be overwritten.
    pub fn moments_mut(&mut self) -> (&mut Store, &mut Store) {
        (&mut self.first, &mut self.second)
    }

    /// Sum of the squares of all elements of a store with [`Optimiser::gradients`]' layout, in f64.
    pub fn sum_squares(&mut self, store: &Store) -> f64 {
        let words = loss::sum_scratch(self.first.layout().words());
        let scratch = self.scratch.write(Span { offset: 0, len: words });
        optim::sum_squares(&self.cpu, store.arena.read(store.whole()), scratch)
    }

    /// One update. The gradients are taken times `scale` (one over the weight of the batch, times
    /// the clip); `rate` is the schedule's; `step` counts from 1.
    pub fn step(
        &mut self,
        params: &mut Store,
        grads: &Store,
        scale: f32,
        rate: f32,
        step: u64,
    ) -> Result<(), Error> {
        if !params.same_layout(&self.params) || !grads.same_layout(self.first.layout()) {
            return Err(Error::Layout("parameter or gradient"));
        }
        let Settings { beta1, beta2, momentum } = self.settings;
        let correction = |beta: f32| (1.0 - f64::from(beta).powf(step as f64)).recip() as f32;
        for flat in &self.adamw {
            let settings = optim::AdamW {
                rate: rate * flat.rule.rate,
                beta1,
                beta2,
                epsilon: flat.rule.epsilon,
                decay: flat.rule.decay,
                correction1: correction(beta1),
                correction2: correction(beta2),
                scale,
            };
            let (p, g) = (params.arena.write(flat.param), grads.arena.read(flat.first));
            let (m, v) = (self.first.arena.write(flat.first), self.second.arena.write(flat.second));
            optim::adamw(&self.cpu, p, g, m, v, &settings);
        }
        for matrix in &self.muon {
            let p = params.arena.write(matrix.param);
            let g = grads.arena.read(matrix.first);
            let m = self.first.arena.write(matrix.first);
            let words = Span { offset: 0, len: muon_words(self.cpu.threads(), matrix.rows, matrix.columns) };
            muon(&self.cpu, matrix, momentum, scale, rate, p, g, m, self.scratch.write(words));
        }
        Ok(())
    }
}

impl Flat {
    /// Whether `next` follows at once in all three stores under the same rule. The padding between
    /// them is zero in all, and stays so.
    fn follows(&self, next: &Flat) -> bool {
        let joins = |a: Span, b: Span| (a.offset + a.len).next_multiple_of(crate::store::ALIGN) == b.offset;
        let same = Rule { name: String::new(), ..self.rule.clone() }
            == Rule { name: String::new(), ..next.rule.clone() };
        same && joins(self.param, next.param)
            && joins(self.first, next.first)
            && joins(self.second, next.second)
    }

    fn extend(&mut self, next: &Flat) {
        let reach = |a: &mut Span, b: Span| a.len = b.offset + b.len - a.offset;
        reach(&mut self.param, next.param);
        reach(&mut self.first, next.first);
        reach(&mut self.second, next.second);
    }
}

/// Layouts of first moments (of all that rules name) and of second ones (AdamW's).
fn moments(params: &Layout, rules: &[Rule]) -> Result<(Layout, Layout), Error> {
    if let Some(rule) = rules.iter().find(|rule| params.shape(&rule.name).is_none()) {
        return Err(Error::Unknown { kind: "parameter", name: rule.name.clone() });
    }
    let of = |wanted: fn(&Rule) -> bool| {
        let named = params.names().filter(|name| rules.iter().any(|r| r.name == *name && wanted(r)));
        Layout::new(named.filter_map(|name| Some((name, params.shape(name)?))))
    };
    Ok((of(|_| true)?, of(|rule| rule.kind == Kind::AdamW)?))
}

fn muon_words(threads: usize, rows: usize, columns: usize) -> usize {
    let (small, large) = (rows.min(columns), rows.max(columns));
    // Every product of [`muon`]; the next X is a tall matrix or a flat one.
    let products =
        gemm_scratch(threads, small, small, large).max(gemm_scratch(threads, rows, columns, small));
    2 * (rows * columns).next_multiple_of(16) + 2 * (small * small).next_multiple_of(16) + products
}

/// Quintic Newton–Schulz coefficients of the reference.
const NEWTON_SCHULZ: (f32, f32, f32) = (3.4445, -4.7750, 2.0315);

#[allow(clippy::too_many_arguments)]
fn muon(
    cpu: &Cpu,
    matrix: &Matrix,
    momentum: f32,
    scale: f32,
    rate: f32,
    p: &mut [f32],
    g: &[f32],
    m: &mut [f32],
    scratch: &mut [f32],
) {
    let (rows, columns) = (matrix.rows, matrix.columns);
    let (small, large) = (rows.min(columns), rows.max(columns));
    let (x, rest) = scratch.split_at_mut((rows * columns).next_multiple_of(16));
    let (next, rest) = rest.split_at_mut((rows * columns).next_multiple_of(16));
    let (gram, rest) = rest.split_at_mut((small * small).next_multiple_of(16));
    let (poly, work) = rest.split_at_mut((small * small).next_multiple_of(16));
    let (x, next) = (&mut x[..rows * columns], &mut next[..rows * columns]);
    let (gram, poly) = (&mut gram[..small * small], &mut poly[..small * small]);
    // m = momentum·m + g, and x = momentum·m + g once more (Nesterov), normalised.
    optim::axpby(cpu, scale, g, momentum, m);
    activation::scale(cpu, g, scale, x);
    optim::axpby(cpu, momentum, m, 1.0, x);
    let norm = optim::sum_squares(cpu, x, next).sqrt() as f32;
    let size = 1.0 / (norm + 1e-7);
    activation::scale(cpu, x, size, next);
    x.copy_from_slice(next);
    // With few columns the transpose is orthogonalised: element (i, j) of X stands at strides that
    // make it `small × large` either way.
    let tall = rows > columns;
    let strides = if tall { (1, columns) } else { (columns, 1) };
    let (a, b, c) = NEWTON_SCHULZ;
    for _ in 0..5 {
        let view = |data| View { data, row: strides.0, col: strides.1 };
        let turned = |data| View { data, row: strides.1, col: strides.0 };
        gemm(cpu, small, small, large, view(x), turned(x), gram, Init::Zero, work);
        let square = |data| View { data, row: small, col: 1 };
        gemm(cpu, small, small, small, square(gram), square(gram), poly, Init::Zero, work);
        optim::axpby(cpu, b, gram, c, poly);
        if tall {
            // X is stored as its transpose: Xᵀ·(bA + cA²) with a symmetric factor.
            gemm(
                cpu,
                large,
                small,
                small,
                View { data: x, row: columns, col: 1 },
                square(poly),
                next,
                Init::Zero,
                work,
            );
        } else {
            gemm(cpu, small, large, small, square(poly), view(x), next, Init::Zero, work);
        }
        optim::axpby(cpu, 1.0, next, a, x);
    }
    let rate = rate * matrix.rule.rate;
    let reach = 0.2 * (large as f32).sqrt();
    optim::axpby(cpu, -rate * reach, x, 1.0 - rate * matrix.rule.decay, p);
}

/// `a += b`, tensor by tensor.
pub fn add_into(cpu: &Cpu, a: &mut Store, b: &Store) -> Result<(), Error> {
    if !a.same_layout(b.layout()) {
        return Err(Error::Layout("second"));
    }
    let whole = a.whole();
    optim::axpby(cpu, 1.0, b.arena.read(whole), 1.0, a.arena.write(whole));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::Isa;

    /// `a [m, k] · b [k, n]`.
    fn product(a: &[f64], b: &[f64], k: usize) -> Vec<f64> {
        let n = b.len() / k;
        let element = |place: usize| (0..k).map(|i| a[place / n * k + i] * b[i * n + place % n]).sum();
        (0..a.len() / k * n).map(element).collect()
    }

    /// What a first step takes off, in f64: `0.2·√large` times five Newton–Schulz steps of the normalised gradient.
    fn reference(gradient: &[f32], rows: usize, columns: usize) -> Vec<f64> {
        let norm = gradient.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let mut x: Vec<f64> = gradient.iter().map(|x| f64::from(*x) / norm).collect();
        let (a, b, c) = NEWTON_SCHULZ;
        let [a, b, c] = [a, b, c].map(f64::from);
        for _ in 0..5 {
            let turned: Vec<f64> = (0..x.len()).map(|at| x[at % rows * columns + at / rows]).collect();
            let gram = product(&x, &turned, columns);
            let square = product(&gram, &gram, rows);
            let poly: Vec<f64> =
                gram.iter().zip(&square).map(|(gram, square)| b * gram + c * square).collect();
            x = x.iter().zip(product(&poly, &x, rows)).map(|(x, more)| a * x + more).collect();
        }
        x.iter().map(|x| 0.2 * (rows.max(columns) as f64).sqrt() * x).collect()
    }

    #[test]
    fn muon_orthogonalises_matrices_of_every_form() {
        for (rows, columns) in [(6, 24), (24, 6), (40, 8), (8, 8), (40, 24), (24, 40), (1, 9), (9, 1)] {
            for threads in [1, 2] {
                let cpu = Arc::new(Cpu::new(Isa::best(), threads).unwrap());
                let layout = Arc::new(Layout::new([("w", [rows, columns].as_slice())]).unwrap());
                let rule = Rule { name: "w".into(), kind: Kind::Muon, rate: 1.0, decay: 0.0, epsilon: 1e-8 };
                let settings = Settings { beta1: 0.9, beta2: 0.95, momentum: 0.95 };
                let mut optimiser = Optimiser::new(&cpu, &layout, &[rule], settings).unwrap();
                let (mut params, mut grads) = (Store::new(&layout).unwrap(), Store::new(&layout).unwrap());
                let gradient: Vec<f32> =
                    (0..rows * columns).map(|i| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5).collect();
                grads.write("w", &gradient).unwrap();
                optimiser.step(&mut params, &grads, 1.0, 1.0, 1).unwrap();
                for (got, expected) in
                    params.get("w").unwrap().iter().zip(reference(&gradient, rows, columns))
                {
                    let off = (f64::from(*got) + expected).abs();
                    assert!(off < 1e-4, "{rows} × {columns}, {threads} threads: {got} {expected}");
                }
            }
        }
    }
}
