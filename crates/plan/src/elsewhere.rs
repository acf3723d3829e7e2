//! A machine that is not here, as a few figures: what a run would take on hardware that one has not got yet.
//!
//! An operation takes `overhead + max(flops / peak, bytes / bandwidth)` seconds, the roofline of Williams et al.
//! (CACM 52(4), 2009), both roofs lowered to the share that programs reach. Nothing of it is measured, so that
//! what is foretold by it is only as good as the description.

use crate::machine::{Share, step_seconds};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use train::TrainConfig;

/// A machine by its figures: all of its cores or devices together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// What it is called.
    pub name: String,
    /// Floating-point operations a second, at most.
    pub peak_flops: f64,
    /// Bytes a second to and from memory.
    pub bandwidth: f64,
    /// Cores or devices that share a step.
    #[serde(default = "one", alias = "devices")]
    pub cores: usize,
    /// Bytes of memory; unknown, nothing is refused for want of it.
    #[serde(default)]
    pub memory: Option<f64>,
    /// Bytes a second between the cores or devices, for the sum of their gradients; that of the memory if not given.
    #[serde(default)]
    pub interconnect: Option<f64>,
    /// Share of both roofs that operations reach.
    pub efficiency: f64,
    /// Seconds that the call of an operation takes before it does anything.
    #[serde(default)]
    pub overhead: f64,
    /// Operations that differ, by their names in `bench probe`.
    #[serde(default)]
    pub operations: BTreeMap<String, Roof>,
}

/// How an operation differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roof {
    /// Its share of both roofs.
    #[serde(default)]
    pub efficiency: Option<f64>,
    /// Its own seconds of a call.
    #[serde(default)]
    pub overhead: Option<f64>,
}

fn one() -> usize {
    1
}

impl Elsewhere {
    /// Refuses what no machine is.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, value: f64, reason: &str| {
            Err(Error::Setting { name: name.into(), value: value.to_string(), reason: reason.into() })
        };
        let memory = [("memory", self.memory), ("interconnect", self.interconnect)];
        let given = memory.into_iter().filter_map(|(name, value)| Some((name, value?)));
        for (name, value) in
            [("peak_flops", self.peak_flops), ("bandwidth", self.bandwidth)].into_iter().chain(given)
        {
            if !(value > 0.0 && value.is_finite()) {
                return refuse(name, value, "it must be a positive number");
            }
        }
        if !(1..=1 << 20).contains(&self.cores) {
            return refuse("cores", self.cores as f64, "it must lie between 1 and 1048576");
        }
        let roofs = self.operations.iter().flat_map(|(name, roof)| {
            let field = |field: &str| format!("operations.{name}.{field}");
            [(field("efficiency"), roof.efficiency, true), (field("overhead"), roof.overhead, false)]
        });
        let own = [
            ("efficiency".to_string(), Some(self.efficiency), true),
            ("overhead".into(), Some(self.overhead), false),
        ];
        for (name, value, share) in own.into_iter().chain(roofs) {
            match value {
                Some(value) if share && !(value > 0.0 && value <= 1.0) => {
                    return refuse(&name, value, "it is a share of the roofs: above 0, and 1 at most");
                }
                Some(value) if !share && !(0.0..=1.0).contains(&value) => {
                    return refuse(&name, value, "it must lie between 0 and 1 s");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Seconds of a step of this configuration; an operation that is described and not there is refused.
    pub fn step_seconds(&self, config: &TrainConfig) -> Result<f64> {
        let met = RefCell::new(BTreeSet::new());
        let seconds = step_seconds(config, self.cores, &|name, flops, bytes, share| {
            met.borrow_mut().insert(name.to_string());
            self.seconds(name, flops, bytes, share)
        })?;
        let met = met.into_inner();
        match self.operations.keys().find(|name| !met.contains(*name)) {
            None => Ok(seconds),
            Some(name) => Err(Error::Setting {
                name: format!("operations.{name}"),
                value: "given".into(),
                reason: format!(
                    "a step has no such operation, only {}",
                    met.into_iter().collect::<Vec<_>>().join(", ")
                ),
            }),
        }
    }

    fn seconds(&self, name: &str, flops: f64, bytes: f64, share: Share) -> f64 {
        let roof = self.operations.get(name).copied().unwrap_or_default();
        let efficiency = roof.efficiency.unwrap_or(self.efficiency);
        let part = match share {
            Share::Lane(cores) => cores as f64 / self.cores as f64,
            Share::Whole => 1.0,
        };
        let bandwidth = match (name, self.interconnect) {
            ("add_lanes", Some(between)) => between,
            _ => self.bandwidth,
        };
        let roofs = (flops / self.peak_flops).max(bytes / bandwidth);
        roof.overhead.unwrap_or(self.overhead) + roofs / efficiency / part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, step_config};

    fn machine() -> Elsewhere {
        Elsewhere {
            name: "made up".into(),
            peak_flops: 1e11,
            bandwidth: 1e10,
            cores: 1,
            memory: None,
            interconnect: None,
            efficiency: 0.5,
            overhead: 1e-6,
            operations: BTreeMap::new(),
        }
    }

    #[test]
    fn an_operation_takes_what_its_nearer_roof_lets_it() {
        let m = machine();
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
        close(m.seconds("linear", 1e9, 1e6, Share::Whole), 1e-6 + 1e9 / 1e11 / 0.5);
        close(m.seconds("linear", 1e6, 1e9, Share::Whole), 1e-6 + 1e9 / 1e10 / 0.5);
        let roof = Roof { efficiency: Some(1.0), overhead: Some(0.0) };
        let other = Elsewhere { operations: [("linear".into(), roof)].into(), cores: 4, ..m };
        close(other.seconds("linear", 1e9, 0.0, Share::Lane(2)), 2.0 * 1e9 / 1e11);
    }

    #[test]
    fn a_step_never_runs_above_the_roof_and_cores_do_not_add_to_it() {
        let shape = Family::new(512).shape(64, 2);
        let config = step_config(&shape, 16, 2).unwrap();
        let ideal = Elsewhere { efficiency: 1.0, overhead: 0.0, bandwidth: 1e18, ..machine() };
        let one = ideal.step_seconds(&config).unwrap();
        let flops = train::step_flops(&config).unwrap();
        // Planned, some operations are spared that the graph has.
        assert!((1.0..1.1).contains(&(one * 1e11 / flops)), "{one} {flops}");
        // The same machine in parts.
        for cores in [2, 8, 64] {
            let parts = Elsewhere { cores, ..ideal.clone() }.step_seconds(&config).unwrap();
            assert!((parts / one - 1.0).abs() < 1e-6, "{cores}: {parts} {one}");
        }
        assert!(machine().step_seconds(&config).unwrap() > 2.0 * one);
        // Calls are not divided.
        let slow = Elsewhere { overhead: 1.0, cores: 64, ..ideal };
        assert!(slow.step_seconds(&config).unwrap() > 10.0);
    }

    #[test]
    fn what_is_no_machine_is_refused_by_name() {
        let said = |change: fn(&mut Elsewhere)| {
            let mut machine = machine();
            change(&mut machine);
            machine.check().unwrap_err().to_string()
        };
        machine().check().unwrap();
        assert!(said(|m| m.peak_flops = 0.0).contains("peak_flops"));
        assert!(said(|m| m.bandwidth = f64::NAN).contains("bandwidth"));
        assert!(said(|m| m.cores = 0).contains("cores"));
        assert!(said(|m| m.memory = Some(-1.0)).contains("memory"));
        assert!(said(|m| m.efficiency = 1.5).contains("efficiency"));
        assert!(said(|m| m.overhead = -1.0).contains("overhead"));
        let roof = Roof { efficiency: Some(0.0), overhead: None };
        let mut m = machine();
        m.operations.insert("linear".into(), roof);
        assert!(m.check().unwrap_err().to_string().contains("operations.linear.efficiency"));
        let mut m = machine();
        m.operations.insert("knitting".into(), Roof::default());
        let config = step_config(&Family::new(300).shape(32, 2), 2, 1).unwrap();
        let said = m.step_seconds(&config).unwrap_err().to_string();
        assert!(said.contains("knitting") && said.contains("linear"), "{said}");
    }
}
