use graphgc::{Gc, GcCell, Local, pin};

fn escape(cell: &GcCell<Gc<u32>>) -> Local<'static, u32> {
    let guard = pin();
    cell.load(&guard)
}

fn main() {
    let kept;
    {
        let guard = pin();
        kept = guard.alloc(7);
    }
    println!("{}", *kept);
}
