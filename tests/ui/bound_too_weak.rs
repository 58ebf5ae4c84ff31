use graphgc::Trace;

#[derive(Trace)]
#[trace(bound = "T: 'static")]
struct NotTraced<T>(T);

fn main() {}
