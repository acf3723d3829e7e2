//! The executor on a CPU: one arena, allocated once, and a list of kernel calls.

use crate::plan::{InputPlan, Place};
use crate::store::arena;
use crate::{
    Call, DType, Data, Device, Error, Executable, Graph, Layout, Memory, Output, Plan, Store, Value,
};
use kernels::{Arena, Cpu, Views};
use std::sync::Arc;

/// The CPU as a device: an instruction set and a number of threads.
#[derive(Clone)]
pub struct CpuDevice {
    cpu: Arc<Cpu>,
}

impl CpuDevice {
    /// A device that computes with `cpu`.
    pub fn new(cpu: Cpu) -> CpuDevice {
        CpuDevice { cpu: Arc::new(cpu) }
    }

    /// The same instruction set with threads of its own.
    pub fn with_threads(&self, threads: usize) -> Result<CpuDevice, Error> {
        Ok(CpuDevice::new(Cpu::new(self.cpu.isa(), threads)?))
    }

    /// What it computes with.
    pub fn cpu(&self) -> &Arc<Cpu> {
        &self.cpu
    }
}

impl Device for CpuDevice {
    fn store(&self, layout: &Arc<Layout>) -> Result<Store, Error> {
        Store::new(layout)
    }

    fn plan(
        &self,
        graph: &Graph,
        outputs: &[Output],
        params: &Layout,
        state: &Layout,
    ) -> Result<Plan, Error> {
        crate::plan(graph, outputs, params, state, self.cpu.threads())
    }

    fn compile(
        &self,
        graph: &Graph,
        outputs: &[Output],
        params: &Arc<Layout>,
        state: &Arc<Layout>,
    ) -> Result<Box<dyn Executable>, Error> {
        let plan = self.plan(graph, outputs, params, state)?;
        let work = arena(plan.memory.arena_bytes / 4)?;
        let mut constants = arena(plan.memory.constant_bytes / 4)?;
        for (span, data) in &plan.constants {
            constants.write(*span).copy_from_slice(data);
        }
        let (params, state) = (params.clone(), state.clone());
        Ok(Box::new(CpuExecutable { cpu: self.cpu.clone(), plan, work, constants, params, state }))
    }
}

/// A graph compiled for the CPU.
pub struct CpuExecutable {
    cpu: Arc<Cpu>,
    plan: Plan,
    work: Arena,
    constants: Arena,
    params: Arc<Layout>,
    state: Arc<Layout>,
}

impl CpuExecutable {
    fn check(input: &InputPlan, name: &str, data: &[i32]) -> Result<(), Error> {
        let Some((low, high)) = input.bounds else { return Ok(()) };
        match data.iter().position(|&x| i64::from(x) < low || i64::from(x) >= high) {
            None => Ok(()),
            Some(index) => {
                Err(Error::Index { name: name.into(), index, value: data[index].into(), low, high })
            }
        }
    }
}

impl Executable for CpuExecutable {
    fn memory(&self) -> Memory {
        self.plan.memory
    }

    fn costs(&self) -> Vec<(&'static str, u64, u64)> {
        self.plan.nodes.iter().map(|node| (node.name(), node.flops, node.bytes)).collect()
    }

    fn upload(&mut self, input: &str, data: Data<'_>) -> Result<(), Error> {
        let unknown = || Error::Unknown { kind: "input", name: input.into() };
        let place = self.plan.inputs.get(input).ok_or_else(unknown)?;
        let (dtype, len) = match data {
            Data::F32(x) => (DType::F32, x.len()),
            Data::I32(x) => (DType::I32, x.len()),
        };
        if place.ty.dtype != dtype || place.ty.len() != len {
            return Err(Error::Size {
                name: input.into(),
                expected: place.ty.to_string(),
                got: format!("{dtype:?}[{len}]"),
            });
        }
        match data {
            Data::F32(x) => self.work.write(place.span).copy_from_slice(x),
            Data::I32(x) => {
                Self::check(place, input, x)?;
                self.work.write_i32(place.span).copy_from_slice(x);
            }
        }
        Ok(())
    }

    fn run(&mut self, params: &Store, state: &mut Store) -> Result<(), Error> {
        self.run_with(params, state, &mut |_, _| ())
    }

    fn run_with(
        &mut self,
        params: &Store,
        state: &mut Store,
        each: &mut dyn FnMut(usize, &'static str),
    ) -> Result<(), Error> {
        if !params.same_layout(&self.params) {
            return Err(Error::Layout("parameter"));
        }
        if !state.same_layout(&self.state) {
            return Err(Error::Layout("state"));
        }
        for (index, node) in self.plan.nodes.iter().enumerate() {
            let mut views = Views::new([&params.arena, &self.constants], [&mut self.work, &mut state.arena]);
            for place in &node.reads {
                match *place {
                    Place::Param(span) => views.read_fixed(0, span),
                    Place::Constant(span) => views.read_fixed(1, span),
                    Place::Work(span) => views.read(0, span),
                    Place::State(span) => views.read(1, span),
                }
            }
            for place in &node.writes {
                match *place {
                    Place::Work(span) => views.write(0, span),
                    Place::State(span) => views.write(1, span),
                    Place::Param(_) | Place::Constant(_) => {
                        unreachable!("operations write to the arena and states")
                    }
                }
            }
            node.operation.run(&self.cpu, Call { inputs: &node.inputs, outputs: &node.outputs }, &mut views);
            each(index, node.name());
        }
        Ok(())
    }

    fn download(&self, value: Value, into: &mut [f32]) -> Result<(), Error> {
        let Some(&Place::Work(span)) = self.plan.kept.get(&value) else {
            return Err(Error::NotKept(value.index()));
        };
        if span.len != into.len() {
            let (expected, got) = (format!("{} elements", span.len), format!("{}", into.len()));
            return Err(Error::Size { name: format!("value {}", value.index()), expected, got });
        }
        into.copy_from_slice(self.work.read(span));
        Ok(())
    }
}
