//! What allocation costs, with the system's allocator: `cargo bench -p graphgc-benches --bench allocation`.

mod values;

criterion::criterion_main!(values::benches);
