use graphgc::Trace;

#[derive(Trace)]
union Either {
    left: u32,
    right: f32,
}

fn main() {}
