//! The rules by which a budget becomes a run, each with its source. All are plain functions of the
//! run's size: nothing is tuned silently.

/// Tokens trained on a parameter that multiplies (Hoffmann et al., arXiv:2203.15556, table 3; the
/// refit of Besiroglu et al., arXiv:2404.10102, agrees at these ratios).
pub const TOKENS_PER_PARAMETER: f64 = 20.0;

/// The same where a tenth of the tokens or more are of pictures: on the generated world's, 1e14 FLOP at 17 and at 68 tokens a
/// parameter answer as many questions, and the latter more of those that are learnt last; the best run of 4e14 FLOP so far has 61.
pub const TOKENS_PER_PARAMETER_SEEING: f64 = 60.0;

/// Passes over the data above which a warning is printed: up to four, a repeated token is worth
/// nearly a new one (Muennighoff et al., arXiv:2305.16264).
pub const EPOCHS_WARNED: f64 = 4.0;

/// Passes over the data above which a run is refused: beyond forty, repeated tokens are worth
/// nothing (the same).
pub const EPOCHS_REFUSED: f64 = 40.0;

/// Tokens of a step for a run over `tokens`: `0.4·√D`. That the best batch grows as about the root
/// of the tokens and does not depend on the model's size: Zhang et al., arXiv:2410.21676 (exponent
/// 0.47); Bergsma et al., arXiv:2505.13738 (0.46). The factor is from small PyTorch runs on books:
/// 128 to 256 tokens a step at 10⁵ to 8·10⁵ tokens beat 1,000 and more by 8 % of the loss.
pub fn batch_tokens(tokens: f64) -> f64 {
    0.4 * tokens.max(1.0).sqrt()
}

/// Rows of a step: the power of two nearest to the rule (in the logarithm), at least one.
pub fn rows(tokens: f64, seq: usize) -> usize {
    let rows = batch_tokens(tokens) / seq.max(1) as f64;
    1 << rows.log2().round().clamp(0.0, 20.0) as u32
}

/// Tokens of a micro-batch, at most (unless one row is longer).
pub const MICRO_BATCH_TOKENS: usize = 1024;

/// Rows of a micro-batch: `rows` halved, as far as it is even, until there are two and their tokens stay within
/// [`MICRO_BATCH_TOKENS`]; so the number of micro-batches is a power of two. It decides the order of sums, so no
/// property of the machine enters; a core loses about 1 % to two micro-batches instead of one, and threads need them.
pub fn micro_rows(rows: usize, seq: usize) -> usize {
    let rows = rows.max(1);
    let mut micro = rows;
    while micro.is_multiple_of(2) && (micro == rows || micro * seq > MICRO_BATCH_TOKENS) {
        micro /= 2;
    }
    micro
}

/// Highest learning rate of the schedule for a run over `tokens` in batches of `batch_tokens`: 8e-3 at the batch of
/// [`batch_tokens`], times the root of the ratio of batches (Malladi et al., arXiv:2205.10287); between 1e-4 and 4e-2.
/// The width and depth do not enter: the parametrisation sees to them. Measured on bytes of books at widths 16, 32 and
/// 64 and 1e5 to 4e5 tokens, where the lowest point of sweeps lies between 6.5e-3 and 9.4e-3; `foretell transfer`
/// measures it anew on any data.
pub fn learning_rate(tokens: f64, batch_tokens: f64) -> f64 {
    let rate = 8e-3 * (batch_tokens / self::batch_tokens(tokens)).sqrt();
    // Three digits, so that a plan reads well and is the same on every machine.
    format!("{:.2e}", rate.clamp(1e-4, 4e-2)).parse().unwrap_or(rate)
}

/// Decoupled weight decay of matrices, which the rate multiplies: the usual one of models of this kind. Measured by
/// `foretell transfer` at 1e5, 4e5 and 1.6e6 tokens: half and a quarter of it are 0.1 to 0.6 % better, twice it is 0.2 to
/// 0.9 % worse, at all three, so that it need not follow the horizon; kept for the sake of longer runs, where it is that of others.
pub const DECAY: f64 = 0.1;

/// Optimiser of the matrices inside layers: Muon (Jordan et al., 2024; Liu et al., arXiv:2502.16982) for models with eyes, else
/// AdamW. On the generated world's pictures, 4e13 FLOP with Muon answer as many questions as 3e14 with AdamW.
pub fn matrices(seeing: bool) -> &'static str {
    if seeing { "muon" } else { "adamw" }
}

/// Base of the rotary positions for rows of `seq` tokens: as long as the row, so that the slowest pair of channels turns
/// about once in 2π rows and none is idle (Su et al., arXiv:2104.09864, take 10,000 for any length). At 128 bytes, losses
/// are 0.3 to 1 % lower than with 10,000.
pub fn rope_theta(seq: usize) -> f64 {
    seq.max(2) as f64
}

/// Steps over which the rate rises: one in fifty, at least ten, at most a tenth of the run. A few per cent is what most
/// use; the rule of Ma and Yarats, arXiv:1910.04209, `2 / (1 − β₂)` or 200 steps, is more than small runs have. Measured at
/// 1e5 tokens with ten seeds: a quarter of it +0.2 ± 0.3 %, twice it -0.1 ± 0.4 %, four times +0.7 ± 0.4 % of the loss; with
/// three seeds four times it are -0.1 ± 0.4 % at 4e5 tokens and -1.4 ± 0.5 % at 1.6e6, so long runs may want more.
pub fn warmup_steps(steps: u64) -> u64 {
    (steps / 50).max(10).min(steps.div_ceil(10))
}

/// Steps over which the rate falls where runs of other lengths branch off before: a fifth, with which `1 − √x` ends as low as a
/// decay over the whole run (Hägele et al., arXiv:2405.18392, figures 4 and 5).
pub fn decay_steps(steps: u64) -> u64 {
    steps / 5
}

/// Held-out tokens of an evaluation: enough that the loss of 1.5 nats spread is known to 0.4 %.
pub const EVAL_TOKENS: u64 = 131_072;

/// Share of the training time that evaluations on the way may take; the one at the end always is.
pub const EVAL_SHARE: f64 = 0.05;

/// Most evaluations of a run.
pub const EVALS: u64 = 20;

/// Seconds between checkpoints.
pub const CHECKPOINT_SECONDS: f64 = 300.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_follow_the_measured_points() {
        assert_eq!(rows(1e5, 128), 1);
        assert_eq!(rows(8e5, 128), 2);
        assert_eq!(rows(2e7, 256), 8);
        assert_eq!(rows(0.0, 256), 1);
        assert_eq!(rows(1e300, 1), 1 << 20);
    }

    #[test]
    fn micro_batches_are_a_power_of_two_in_number() {
        for (rows, seq, micro) in [
            (2, 128, 1),
            (4, 256, 2),
            (8, 256, 4),
            (32, 256, 4),
            (24, 512, 3),
            (7, 8192, 7),
            (1, 1 << 20, 1),
            (6, 4096, 3),
        ] {
            assert_eq!(micro_rows(rows, seq), micro, "{rows} {seq}");
            assert!((rows / micro).is_power_of_two() && rows % micro == 0);
        }
    }

    #[test]
    fn rates_are_round_and_bounded() {
        assert_eq!(learning_rate(4e5, 253.0).to_string(), "0.008");
        // Four times the batch, twice the rate.
        assert_eq!(learning_rate(4e5, 4.0 * 253.0).to_string(), "0.016");
        assert_eq!(learning_rate(1e5, 1e9), 4e-2);
        assert_eq!(learning_rate(1e30, 1.0), 1e-4);
    }

    #[test]
    fn warm_up_fits_into_the_run() {
        for steps in [1, 2, 9, 30, 100, 500, 100_000] {
            assert!(warmup_steps(steps) <= steps.div_ceil(10).max(1));
        }
        assert_eq!(warmup_steps(10_000), 200);
    }
}
