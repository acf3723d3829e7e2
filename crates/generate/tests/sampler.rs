//! Samplers against closed forms: the distribution drawn from, and the frequencies drawn.

use generate::{Sampler, Sampling};

const LOGITS: [f32; 6] = [1.0, 3.0, -1.0, 3.0, 0.5, 2.0];

fn softmax(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - max).exp()).sum();
    logits.iter().map(|x| (x - max).exp() / sum).collect()
}

fn only(kept: &[usize], temperature: f64) -> Vec<f64> {
    let scaled: Vec<f64> = (0..LOGITS.len())
        .map(|i| if kept.contains(&i) { f64::from(LOGITS[i]) / temperature } else { f64::NEG_INFINITY })
        .collect();
    softmax(&scaled)
}

fn sampler(sampling: Sampling) -> Sampler {
    Sampler::new(&sampling, 3, &[], LOGITS.len()).unwrap()
}

/// The probabilities, and 20,000 draws under a chi-square bound (the 0.9999 quantile of five degrees
/// of freedom is 25.7; with fewer it is smaller still).
#[track_caller]
fn check(sampling: Sampling, expected: &[f64]) {
    let mut sampler = sampler(sampling);
    let mut got = vec![0.0; LOGITS.len()];
    for (id, p) in sampler.distribution(&LOGITS).unwrap() {
        got[id as usize] = p;
    }
    for (g, e) in got.iter().zip(expected) {
        assert!((g - e).abs() < 1e-7, "{got:?} {expected:?}");
    }
    let draws = 20_000;
    let mut counts = vec![0.0; LOGITS.len()];
    for position in 0..draws {
        counts[sampler.draw(&LOGITS, position).unwrap() as usize] += 1.0;
    }
    let mut chi = 0.0;
    for (count, p) in counts.iter().zip(expected) {
        let mean = p * draws as f64;
        if *p == 0.0 {
            assert_eq!(*count, 0.0);
        } else {
            chi += (count - mean) * (count - mean) / mean;
        }
    }
    assert!(chi < 25.7, "chi-square {chi}: {counts:?} for {expected:?}");
}

#[test]
fn temperature_scales_the_logits() {
    for temperature in [0.3, 1.0, 2.5] {
        let s = Sampling { temperature, seed: 5, ..Sampling::default() };
        check(s, &only(&[0, 1, 2, 3, 4, 5], f64::from(temperature)));
    }
}

#[test]
fn top_k_keeps_k_and_ties_go_to_the_lower_id() {
    let s = |top_k| Sampling { top_k, ..Sampling::default() };
    check(s(1), &only(&[1], 1.0));
    check(s(3), &only(&[1, 3, 5], 1.0));
    check(s(99), &only(&[0, 1, 2, 3, 4, 5], 1.0));
}

#[test]
fn top_p_keeps_the_fewest_that_reach_it() {
    let p = softmax(&LOGITS.map(f64::from));
    let s = |top_p: f64| Sampling { top_p: top_p as f32, ..Sampling::default() };
    check(s(p[1] - 1e-4), &only(&[1], 1.0));
    check(s(p[1] + 1e-4), &only(&[1, 3], 1.0));
    check(s(p[1] + p[3] + 1e-4), &only(&[1, 3, 5], 1.0));
    check(s(1e-9), &only(&[1], 1.0));
    // After temperature and top-k: of the three left, two have 0.9.
    let s = Sampling { top_k: 3, top_p: 0.8, temperature: 0.5, ..Sampling::default() };
    check(s, &only(&[1, 3], 0.5));
}

#[test]
fn min_p_is_a_fraction_of_the_best() {
    let ratio = (2.0f64 - 3.0).exp();
    let s = |min_p: f64| Sampling { min_p: min_p as f32, ..Sampling::default() };
    check(s(ratio + 1e-3), &only(&[1, 3], 1.0));
    check(s(ratio - 1e-3), &only(&[1, 3, 5], 1.0));
    check(s(1.0), &only(&[1, 3], 1.0));
}

#[test]
fn restriction_comes_before_everything_else() {
    let s = Sampling { allowed: Some(vec![4, 0, 2, 0]), ..Sampling::default() };
    check(s, &only(&[0, 2, 4], 1.0));
    let s = Sampling { allowed: Some(vec![4, 2]), temperature: 0.0, ..Sampling::default() };
    assert_eq!(sampler(s).draw(&LOGITS, 0), Some(4));
    let s = Sampling { allowed: Some(vec![4, 2, 0]), top_k: 2, ..Sampling::default() };
    check(s, &only(&[0, 4], 1.0));
}

#[test]
fn temperature_zero_is_argmax_with_the_lowest_id() {
    let mut greedy = sampler(Sampling::greedy());
    for position in 0..100 {
        assert_eq!(greedy.draw(&LOGITS, position), Some(1));
    }
    assert_eq!(greedy.draw(&[f32::NEG_INFINITY, -5.0, f32::NEG_INFINITY], 0), Some(1));
}

#[test]
fn penalties_follow_their_formulas() {
    let s = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
    // Tokens 1 and 2 stand in the prompt, 3 in the answer.
    let mut sampler = Sampler::new(&s, 0, &[1, 2], 6).unwrap();
    sampler.accept(3);
    let expected = softmax(&[1.0, 1.5, -2.0, 1.5, 0.5, 2.0]);
    for (id, p) in sampler.distribution(&LOGITS).unwrap() {
        assert!((p - expected[id as usize]).abs() < 1e-7);
    }
    let s = Sampling { presence_penalty: 0.5, frequency_penalty: 0.25, ..Sampling::default() };
    let mut sampler = Sampler::new(&s, 0, &[1, 2], 6).unwrap();
    sampler.accept(3);
    sampler.accept(3);
    let expected = softmax(&[1.0, 3.0, -1.0, 2.0, 0.5, 2.0]);
    for (id, p) in sampler.distribution(&LOGITS).unwrap() {
        assert!((p - expected[id as usize]).abs() < 1e-7);
    }
    let s = Sampling { bias: [(0, 4.0)].into(), temperature: 0.0, ..Sampling::default() };
    assert_eq!(Sampler::new(&s, 0, &[], 6).unwrap().draw(&LOGITS, 0), Some(0));
}

#[test]
fn draws_depend_on_seed_sequence_and_position_alone() {
    let draws = |seed, sequence| {
        let s = Sampling { seed, ..Sampling::default() };
        let mut sampler = Sampler::new(&s, sequence, &[], 6).unwrap();
        (0..64).map(|p| sampler.draw(&LOGITS, p).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(draws(1, 2), draws(1, 2));
    assert_ne!(draws(1, 2), draws(1, 3));
    assert_ne!(draws(1, 2), draws(2, 2));
    // Out of order, the same.
    let s = Sampling { seed: 1, ..Sampling::default() };
    let mut sampler = Sampler::new(&s, 2, &[], 6).unwrap();
    let mut back: Vec<u32> = (0..64).rev().map(|p| sampler.draw(&LOGITS, p).unwrap()).collect();
    back.reverse();
    assert_eq!(back, draws(1, 2));
}

#[test]
fn what_is_no_distribution_is_no_token() {
    let mut any = sampler(Sampling::default());
    assert_eq!(any.draw(&[0.0, f32::NAN], 0), None);
    assert_eq!(any.draw(&[f32::NEG_INFINITY; 4], 0), None);
    assert_eq!(any.draw(&[0.0, f32::INFINITY], 0), None);
    assert_eq!(any.draw(&[], 0), None);
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refused = |s: Sampling| Sampler::new(&s, 0, &[], 6).unwrap_err().to_string();
    let d = Sampling::default;
    assert!(refused(Sampling { temperature: -1.0, ..d() }).contains("temperature"));
    assert!(refused(Sampling { temperature: f32::NAN, ..d() }).contains("temperature"));
    assert!(refused(Sampling { top_p: 0.0, ..d() }).contains("top_p"));
    assert!(refused(Sampling { top_p: 1.5, ..d() }).contains("top_p"));
    assert!(refused(Sampling { min_p: 1.5, ..d() }).contains("min_p"));
    assert!(refused(Sampling { repetition_penalty: 0.0, ..d() }).contains("repetition_penalty"));
    assert!(refused(Sampling { presence_penalty: f32::NAN, ..d() }).contains("presence_penalty"));
    assert!(refused(Sampling { allowed: Some(vec![]), ..d() }).contains("allowed"));
    assert!(refused(Sampling { allowed: Some(vec![6]), ..d() }).contains("0 to 5"));
    assert!(refused(Sampling { bias: [(9, 1.0)].into(), ..d() }).contains("token 0 is 9"));
}
