//! How often the intervals of accuracies hold, where the truth is known: made-up ladders that answer made-up questions.

use scaling::questions::{Answer, Answers, Examined, Foretold, Grouping, Question};
use scaling::{Run, Target};

/// A generator of numbers (PCG's multiplier); the high bits are good enough here.
struct Random(u64);

impl Random {
    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * ((self.0 >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// Nearly normal: the sum of twelve uniform numbers.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform(-0.5, 0.5)).sum()
    }
}

/// Questions of a family at a level: at which loss models come to know half of them, how steeply, and how many can be known.
struct Cell {
    middle: f64,
    steepness: f64,
    top: f64,
}

const EACH: usize = 40;

/// Groups of four questions share their choices, and a model that knows nothing of a group prefers one of them for all.
fn answers(random: &mut Random, cells: &[Cell], loss: f64) -> Vec<Answer> {
    let mut all = Vec::new();
    for cell in cells {
        let way =
            cell.top / (1.0 + (cell.steepness * (loss.ln() - cell.middle + 0.01 * random.normal())).exp());
        for question in 0..EACH {
            let knows = random.uniform(0.0, 1.0) < way;
            let favoured = (question / 4 + all.len()) % 4 == question % 4;
            let doubt = random.uniform(0.0, 0.12);
            let (probability, correct) = match knows {
                true => (1.0 - doubt, true),
                false if favoured => (0.25 + 3.0 * doubt / 2.0, true),
                false => (0.25 - doubt / 2.0, false),
            };
            all.push(Answer { probability, correct });
        }
    }
    all
}

fn law(n: f64, d: f64) -> f64 {
    0.6 + 26.0 * n.powf(-0.32) + 30.0 * d.powf(-0.26)
}

/// A ladder, and what a run so many times dearer really made of the buckets that were foretold: each with its accuracy
/// and mean probability.
fn ladder(number: u64, reach: f64) -> Vec<(Foretold, f64, f64)> {
    let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        random.uniform(0.0, 1.0);
    }
    let steepness = random.uniform(4.0, 8.0);
    let mut cells: Vec<Cell> = (0..12)
        .map(|_| Cell {
            middle: random.uniform(0.2, 1.3),
            steepness: steepness * (0.15 * random.normal()).exp(),
            top: random.uniform(0.9, 1.0),
        })
        .collect();
    // Some are beyond all reach.
    cells.iter_mut().step_by(5).for_each(|cell| cell.middle = -3.0);
    let mut questions = Vec::new();
    for place in 0..cells.len() * EACH {
        let family = format!("f{}", place / EACH);
        questions.push(Question { id: format!("q{place}"), family, level: 1, chance: 0.25 });
    }
    let mut rows = Vec::new();
    let run = |n: f64, d: f64, random: &mut Random| {
        let loss = law(n, d) * (1.0 + 0.006 * random.normal());
        Run { parameters: n, tokens: d, flops: 6.0 * n * d, loss }
    };
    for size in 0..7 {
        for ratio in [10.0, 20.0, 40.0] {
            let n = 2000.0 * 1.8f64.powi(size);
            let run = run(n, n * ratio, &mut random);
            rows.push((run, answers(&mut random, &cells, run.loss)));
        }
    }
    let dearest = rows.iter().map(|row| row.0.flops).fold(0.0, f64::max);
    let n = (reach * dearest / 120.0).sqrt();
    let target = Target { parameters: n, tokens: 20.0 * n };
    let truth = run(target.parameters, target.tokens, &mut random);
    let reached = answers(&mut random, &cells, truth.loss);
    let foretold =
        Examined::new(&Answers { questions: questions.clone(), grouping: Grouping::Difficulty, rows })
            .unwrap()
            .foretell(&target)
            .unwrap();
    let judged = foretold.into_iter().map(|one| {
        let members = &one.known.bucket.members;
        let hold = |question: &Question| members.hold(&question.id, &question.family, question.level);
        let own: Vec<&Answer> =
            questions.iter().zip(&reached).filter(|(q, _)| hold(q)).map(|pair| pair.1).collect();
        let count = own.len() as f64;
        assert_eq!(own.len(), one.known.best.questions);
        let accuracy = own.iter().filter(|answer| answer.correct).count() as f64 / count;
        let probability = own.iter().map(|answer| answer.probability).sum::<f64>() / count;
        (one, accuracy, probability)
    });
    judged.collect()
}

#[test]
fn intervals_of_accuracies_hold_as_often_as_they_say() {
    const COUNT: u64 = 40;
    let half = |from: u64| {
        let reach = |number: u64| [10.0, 100.0, 1000.0][number as usize % 3];
        (from..COUNT).step_by(2).flat_map(|number| ladder(number, reach(number))).collect::<Vec<_>>()
    };
    let all = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let mut all = half(0);
        all.extend(other.join().unwrap());
        all
    });
    let share = |fits: &dyn Fn(&(Foretold, f64, f64)) -> bool| {
        all.iter().filter(|one| fits(one)).count() as f64 / all.len() as f64
    };
    let accuracy = [0, 1, 2].map(|level| share(&|one| one.0.accuracy.intervals[level].holds(one.1)));
    let probability = [0, 1, 2].map(|level| share(&|one| one.0.probability.intervals[level].holds(one.2)));
    let risen: Vec<_> = all.iter().filter(|one| one.1 > one.0.known.best.accuracy + 0.2).collect();
    let half: f64 = risen
        .iter()
        .map(|one| 0.5 * (one.0.accuracy.intervals[1].high - one.0.accuracy.intervals[1].low))
        .sum::<f64>()
        / risen.len() as f64;
    let held = risen.iter().filter(|one| one.0.accuracy.intervals[1].holds(one.1)).count();
    eprintln!(
        "80, 90 and 95 % intervals held {accuracy:.3?} of accuracies and {probability:.3?} of mean probabilities; of {} \
         buckets that rose by 20 points or more {held} at 90 %, ±{:.1} points wide",
        risen.len(),
        100.0 * half
    );
    for shares in [accuracy, probability] {
        for (share, (low, high)) in shares.into_iter().zip([(0.74, 0.97), (0.84, 0.99), (0.9, 1.0)]) {
            assert!((low..=high).contains(&share), "{shares:?}");
        }
    }
    assert!(risen.len() > 20 && held as f64 > 0.8 * risen.len() as f64 && half < 0.2, "{held} {half}");
}

#[test]
fn by_family_and_level_every_cell_is_a_bucket_and_what_is_at_chance_stays_there() {
    let mut answers = table(
        |run, q| {
            // Half of the cells are learnt one after the other, the others never.
            let way = if q % 2 == 0 { 0.12 * (run as f64 - q as f64 / 10.0).clamp(0.0, 7.0) } else { 0.0 };
            Answer {
                probability: 0.25 + 0.75 * way,
                correct: (q * 7 + run * 3) % 20 < 5 + (15.0 * way) as usize,
            }
        },
        9,
    );
    for (place, question) in answers.questions.iter_mut().enumerate() {
        (question.family, question.level) = (format!("f{}", place % 4), 1 + (place / 4 % 2) as u32);
    }
    answers.grouping = Grouping::Cells;
    let target = Target { parameters: 2e6, tokens: 4e7 };
    let foretold = Examined::new(&answers).unwrap().foretell(&target).unwrap();
    let names: Vec<&str> = foretold.iter().map(|one| one.known.bucket.name.as_str()).collect();
    assert_eq!(names, ["f0-1", "f0-2", "f1-1", "f1-2", "f2-1", "f2-2", "f3-1", "f3-2"]);
    for (place, one) in foretold.iter().enumerate() {
        let family = &one.known.bucket.name[..2];
        let members =
            answers.questions.iter().filter(|q| q.family == family && q.level == 1 + place as u32 % 2);
        assert_eq!(one.known.best.questions, members.count());
        let ends = one.accuracy.intervals[1];
        match place / 2 % 2 {
            0 => assert!(one.accuracy.rate > 0.6, "{one:?}"),
            _ => assert!(ends.holds(0.25) && one.accuracy.rate < 0.4 && ends.high < 0.75, "{one:?}"),
        }
    }
}

fn table(of: impl Fn(usize, usize) -> Answer, runs: usize) -> Answers {
    let questions = (0..60)
        .map(|q| Question { id: format!("q{q}"), family: "f".into(), level: 1, chance: 0.25 })
        .collect();
    let rows = (0..runs)
        .map(|i| {
            let n = 2000.0 * 1.8f64.powi(i as i32);
            let run = Run { parameters: n, tokens: 20.0 * n, flops: 120.0 * n * n, loss: law(n, 20.0 * n) };
            (run, (0..60).map(|q| of(i, q)).collect())
        })
        .collect();
    Answers { questions, grouping: Grouping::Difficulty, rows }
}

#[test]
fn all_right_none_right_and_chance_alone_are_foretold_to_stay() {
    let target = Target { parameters: 1e6, tokens: 2e7 };
    let said =
        |of: fn(usize, usize) -> Answer| Examined::new(&table(of, 8)).unwrap().foretell(&target).unwrap();
    for one in said(|_, _| Answer { probability: 1.0, correct: true }) {
        assert!(one.accuracy.rate > 0.97 && one.accuracy.intervals[1].low > 0.85, "{one:?}");
    }
    // Always misled: no curve says so, hence nothing is sure of it.
    for one in said(|_, _| Answer { probability: 0.0001, correct: false }) {
        assert!(one.accuracy.intervals[1].holds(0.0), "{one:?}");
    }
    let chance = said(|_, q| Answer { probability: 0.25, correct: q % 4 == 0 });
    assert_eq!(chance.len(), 3);
    for one in chance {
        assert!((0.2..0.35).contains(&one.accuracy.rate) && one.accuracy.intervals[1].holds(0.25), "{one:?}");
    }
}

#[test]
fn what_cannot_be_foretold_is_refused_and_the_unsolved_are_named() {
    let fair = |_: usize, _: usize| Answer { probability: 0.25, correct: false };
    assert!(Examined::new(&table(fair, 1)).is_err() && table(fair, 0).known().is_err());
    assert!(table(fair, 1).known().unwrap().iter().all(|known| known.law.is_none()));
    let never =
        table(|run, q| Answer { probability: if (run, q) == (2, 7) { 0.0 } else { 0.5 }, correct: true }, 6);
    assert_eq!(never.excluded(), [(7, 2)]);
    let counted: usize = never.known().unwrap().iter().map(|known| known.best.questions).sum();
    assert_eq!(counted, 59);
    let mut bad = table(fair, 6);
    bad.rows[3].1.pop();
    assert!(Examined::new(&bad).is_err());
    bad = table(fair, 6);
    bad.rows[0].1[0].probability = 1.5;
    assert!(bad.check().is_err());
    bad = table(fair, 6);
    bad.questions[0].chance = 1.0;
    assert!(bad.known().is_err());
}
