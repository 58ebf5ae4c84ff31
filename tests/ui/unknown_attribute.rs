use graphgc::Trace;

#[derive(Trace)]
#[trace(finalise)]
struct OnType;

#[derive(Trace)]
struct OnField(#[trace(ignore)] u8);

#[derive(Trace)]
enum OnVariant {
    #[trace(skip)]
    Variant(u8),
}

#[derive(Trace)]
struct Twice(
    #[trace(skip)]
    #[trace(leaf)]
    u8,
);

#[derive(Trace)]
#[trace(leaf)]
struct InLeaf(#[trace(skip)] u8);

#[derive(Trace)]
#[trace]
struct Empty;

fn main() {}
