use graphgc::pin;

fn main() {
    let mut guard = pin();
    let local = guard.alloc(7);
    guard.repin();
    println!("{}", *local);
}
