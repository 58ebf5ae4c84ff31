//! Builders of bytes: memory of the heap that users' code fills while the collector works.

use graphgc::{BytesBuilder, Gc};
use graphgc_tests::{
    panics::{panic_quietly, panics_quietly},
    random::Random,
    sound::attack_once,
};
use std::{
    io::{self, Read, Write},
    sync::Mutex,
    thread,
};

/// Gives bytes in pieces of any size, and panics in place of the last if told so.
struct Pieces<'a> {
    rest: &'a [u8],
    panics: bool,
    random: &'a mut Random,
}

impl Read for Pieces<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let most = room.len().min(self.rest.len());
        if self.panics && most == self.rest.len() {
            room.fill(0xEE);
            panic_quietly::<()>();
        }
        let piece = if most == 0 { 0 } else { 1 + self.random.below(most) };
        let (now, rest) = self.rest.split_at(piece);
        room[..piece].copy_from_slice(now);
        room[piece..].fill(0xEE);
        self.rest = rest;
        Ok(piece)
    }
}

/// A builder and what must be in it.
type Pair = (BytesBuilder, Vec<u8>);

/// What is done to a builder next. What is finished goes to the others.
fn change((builder, expected): &mut Pair, random: &mut Random) {
    let most = if random.one_in(50) { 100_000 } else { 300 };
    let length = random.below(most);
    let data: Vec<u8> = (0..length).map(|_| random.next_number() as u8).collect();
    let panics = random.one_in(4);
    match random.below(5) {
        0 => builder.reserve(length).unwrap(),
        1 | 2 => {
            builder.write_all(&data).unwrap();
            expected.extend(&data);
        }
        3 => {
            let reader = Pieces { rest: &data, panics, random };
            let before = expected.len();
            if panics_quietly(|| assert_eq!(builder.read_to_end(reader).unwrap(), length)) {
                // Pieces that came before the panic are there.
                let read = builder.len() - before;
                expected.extend(&data[..read]);
            } else {
                expected.extend(&data);
            }
        }
        _ => {
            let reader = Pieces { rest: &data, panics: false, random };
            let wanted = length / 2;
            builder.read_exact(reader, wanted).unwrap();
            expected.extend(&data[..wanted]);
        }
    }
    assert_eq!(builder.as_slice(), expected);
}

/// Hopes that a builder that grows, is given up midway, changes threads or is finished shares its memory with another, or with an object.
#[test]
fn builders_of_all_ages() {
    const TURNS: usize = if cfg!(debug_assertions) { 2000 } else { 10_000 };
    attack_once(|_| {
        let board: Mutex<Vec<Pair>> = Mutex::default();
        thread::scope(|scope| {
            for number in 0..3 {
                let board = &board;
                scope.spawn(move || {
                    let mut random = Random::of_run(number);
                    let mut done: Vec<(Gc<[u8]>, Vec<u8>)> = Vec::new();
                    for _ in 0..TURNS {
                        let taken = board.lock().unwrap().pop();
                        let mut pair =
                            taken.unwrap_or_else(|| (BytesBuilder::with_capacity(random.below(200)), Vec::new()));
                        change(&mut pair, &mut random);
                        match random.below(8) {
                            0 => drop(pair),
                            1 | 2 => done.push((pair.0.finish(), pair.1)),
                            _ => board.lock().unwrap().push(pair),
                        }
                        if done.len() > 30 {
                            assert!(done.iter().all(|(bytes, expected)| **bytes == **expected));
                            done.truncate(random.below(30));
                        }
                    }
                    assert!(done.iter().all(|(bytes, expected)| **bytes == **expected));
                });
            }
        });
        for (builder, expected) in board.into_inner().unwrap() {
            assert_eq!(*builder.finish(), *expected);
        }
    });
}
