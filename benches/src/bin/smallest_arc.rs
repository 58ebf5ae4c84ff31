//! The smallest program with an `Arc`, beside which `smallest_gc` is measured.

fn main() {
    println!("{}", std::sync::Arc::new(7));
}
