//! What must not compile, and what the compiler says then: these messages are part of the interface.

#[test]
fn ui() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
