use graphgc::Trace;

#[derive(Trace)]
#[repr(packed)]
struct Packed(u8, u32);

#[derive(Trace)]
#[repr(C, packed(2))]
struct PackedToTwo(u8, u32);

fn main() {}
