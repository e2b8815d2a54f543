//! Two devices in plain Rust, one of which stands in for the adapter.

use std::rc::Rc;

use super::*;
use crate::cpu::tests::{Toy, device_within};
use crate::cpu::{Cpu, PAGE};
use crate::error::Error;
use crate::gpu::{BufferSpec, Copy, Gpu, Usage, Work};

type Toys = Hybrid<Cpu<Toy>, Toy>;
type Place = <Toys as Gpu>::Buffer;

/// The binding limit of the adapter, in bytes.
const MOST: u64 = 1024;

fn toys() -> Toys {
    let adapter = device_within(1 << 20, PAGE + MOST);
    assert_eq!(adapter.info().limits.largest_binding(), MOST);
    Hybrid::new(adapter, Some(device_within(1 << 20, 1 << 32))).unwrap()
}

fn create(toys: &Toys, bytes: u64, usage: Usage) -> Place {
    pollster::block_on(toys.create(&[BufferSpec::new("some", bytes, usage)])).unwrap().remove(0)
}

/// The kernel that adds the first symbol to words, on the adapter.
fn own() -> <Toys as Gpu>::Pipeline {
    Pipeline::Own(0, Rc::new([true]))
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// How often each side ran since the last call of this function.
fn runs(toys: &Toys) -> (u32, u32) {
    let side = |cpu: &Cpu<Toy>| cpu.instance().runs.take();
    (side(toys.own()), side(toys.beside().unwrap()))
}

/// Symbols, two buffers that the adapter can bind, a large one, and a buffer for results.
struct Case {
    toys: Toys,
    symbols: Place,
    a: Place,
    b: Place,
    large: Place,
    staging: Place,
}

impl Case {
    fn new() -> Self {
        let toys = toys();
        let symbols = create(&toys, 16, Usage::Uniform);
        let [a, b] = [(); 2].map(|()| create(&toys, 64, Usage::Scratch));
        let large = create(&toys, MOST + 16, Usage::State);
        let staging = create(&toys, 64, Usage::Readback);
        Case { toys, symbols, a, b, large, staging }
    }

    /// Adds `add` to four words of each of these buffers in turn, with fallback kernels or not. Returns the words of
    /// three buffers.
    fn run(&self, add: u32, steps: &[(bool, &Place)]) -> Result<Vec<u32>, Error> {
        let fallback = self.toys.fallback(0, &[true]).unwrap();
        let bound: Vec<_> = steps
            .iter()
            .map(|(by_fallback, buffer)| {
                let pipeline = if *by_fallback { fallback.clone() } else { own() };
                let group = self.toys.bind("add", &pipeline, &[&self.symbols, buffer]);
                (pipeline, group)
            })
            .collect();
        self.toys.check("binding")?;
        let pairs: Vec<_> = bound.iter().map(|(pipeline, group)| (pipeline, group)).collect();
        let (symbols, start) = (words(&[add]), words(&[1, 2, 3, 4]));
        let place = |from, to_offset| Copy { from, to: &self.staging, to_offset, bytes: 8 };
        let work = Work {
            writes: &[(&self.symbols, symbols.as_slice()), (&self.a, start.as_slice())],
            feed: None,
            steps: &self.toys.record(&pairs),
            grids: &vec![(4, 1); steps.len()],
            results: &[place(&self.a, 0), place(&self.b, 8), place(&self.large, 16)],
            staging: &self.staging,
            bytes: 24,
        };
        let bytes = pollster::block_on(self.toys.submit(&work))?;
        Ok(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

#[test]
fn what_is_too_large_lives_in_linear_memory() {
    let case = Case::new();
    assert!(case.toys.is_offloaded(&case.large) && !case.toys.is_offloaded(&case.a));
    assert_eq!(case.toys.depth(), 1, "calls do not overlap");
    let before = case.toys.beside().unwrap().allocated();
    case.toys.destroy(&case.large);
    assert_eq!(before - case.toys.beside().unwrap().allocated(), (MOST + 16).next_multiple_of(64));
    assert!(!case.toys.is_offloaded(&create(&case.toys, MOST, Usage::State)));
    // The compiler splits weights, and results are read in place.
    assert!(!case.toys.is_offloaded(&create(&case.toys, MOST + 16, Usage::Weight)));
}

#[test]
fn stretches_run_in_turn_and_see_what_the_others_wrote() {
    let case = Case::new();
    let Case { a, b, large, .. } = &case;
    let steps = [(false, a), (false, b), (true, a), (true, large), (false, a), (true, b)];
    assert_eq!(case.run(10, &steps).unwrap(), [31, 32, 20, 20, 10, 10]);
    // The last segment of the adapter is empty, and only fetches results.
    assert_eq!(runs(&case.toys), (3, 2));
    // What the adapter has written since then is copied again.
    assert_eq!(case.run(1, &[(false, b), (true, b), (true, b)]).unwrap()[2..], [23, 23, 10, 10]);
    assert_eq!(runs(&case.toys), (2, 1));
}

#[test]
fn a_buffer_that_is_up_to_date_is_not_fetched() {
    let case = Case::new();
    case.run(1, &[(true, &case.b), (true, &case.large)]).unwrap();
    // Between two segments without a step of the adapter, nothing is copied except the first time.
    assert!(case.b.is_current() && case.large.is_current());
    case.run(1, &[(false, &case.b), (true, &case.large)]).unwrap();
    assert!(!case.b.is_current() && case.large.is_current());
    case.toys.clear(&[&case.b, &case.large]);
    assert_eq!(case.run(5, &[(true, &case.b), (true, &case.large)]).unwrap()[2..], [5, 5, 5, 5]);
}

#[test]
fn without_moved_steps_all_goes_straight_to_the_adapter() {
    let case = Case::new();
    case.toys.destroy(&case.large);
    let Case { a, b, symbols, staging, toys, .. } = &case;
    let group = toys.bind("add", &own(), &[symbols, b]);
    let (three, start) = (words(&[3]), words(&[1, 2, 3, 4]));
    let pipeline = own();
    let work = Work {
        writes: &[(symbols, three.as_slice()), (a, start.as_slice())],
        feed: Some(Copy { from: a, to: b, to_offset: 0, bytes: 16 }),
        steps: &toys.record(&[(&pipeline, &group)]),
        grids: &[(4, 1)],
        results: &[Copy { from: b, to: staging, to_offset: 0, bytes: 16 }],
        staging,
        bytes: 16,
    };
    assert_eq!(pollster::block_on(toys.submit(&work)).unwrap(), words(&[4, 5, 6, 7]));
    assert_eq!(runs(toys), (1, 0));
}

#[test]
fn failures_are_told() {
    let case = Case::new();
    let text = case.run(1, &[(false, &case.large)]).unwrap_err().to_string();
    assert!(text.contains("too large for the adapter"), "{text}");
    // The toy's only other kernel always fails.
    let fallback = case.toys.fallback(1, &[true]).unwrap();
    let group = case.toys.bind("fails", &fallback, &[&case.symbols, &case.a]);
    let steps = case.toys.record(&[(&fallback, &group)]);
    let (staging, grids) = (&case.staging, &[(1, 1)]);
    let work = Work { writes: &[], feed: None, steps: &steps, grids, results: &[], staging, bytes: 0 };
    assert!(pollster::block_on(case.toys.submit(&work)).unwrap_err().to_string().contains("trap"));
}
