//! What allocation costs, with mimalloc as the global allocator: `cargo bench -p graphgc-benches --bench allocation_mimalloc`.

mod values;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion::criterion_main!(values::benches);
