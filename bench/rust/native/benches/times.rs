//! The times of the steps, measured by criterion.

use criterion::{Criterion, criterion_group, criterion_main};

fn times(criterion: &mut Criterion) {
    for case in native::CASES {
        criterion.bench_function(case.name, |bencher| bencher.iter_custom(case.run));
    }
}

criterion_group!(benches, times);
criterion_main!(benches);
