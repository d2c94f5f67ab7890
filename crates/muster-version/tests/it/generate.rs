//! Versions for every scheme: real-looking ones, mutations of those, and adversarial ones made of
//! the pieces that a scheme treats specially. All from a seed, so that a failure can be repeated.

use muster_version::Scheme;

/// A small generator of numbers (xorshift64*), good enough to choose pieces.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Versions as they are found, and the pieces that matter to the scheme.
pub(crate) fn material(scheme: Scheme) -> (&'static [&'static str], &'static [&'static str]) {
    match scheme {
        Scheme::Dpkg => (
            &[
                "1:2.36-9+deb12u4",
                "2.4.57-2",
                "1.1.1n-0+deb11u5",
                "5.10.0-26",
                "7.88.1-10+deb12u5",
                "2:8.2.2434-3+deb11u1",
                "1.21.1+ds-2",
                "252.22-1~deb12u1",
                "0.9.8g-15+lenny8",
                "20210119+deb11u1",
                "4.18.0+dfsg-1+b1",
                "1.2.3~rc1-1ubuntu0.22.04.1~esm2",
                "6.2.0-37.38~22.04.1",
                "3.10.6-1~22.04",
                "1:9.2p1-2+deb12u2",
                "5.34.0-3ubuntu1.3",
            ],
            &[
                "0",
                "00",
                "1",
                "9",
                "10",
                "09",
                "~",
                "~~",
                "-",
                "+",
                ".",
                ":",
                "1:",
                "0:",
                "a",
                "Z",
                "b1",
                "_",
                " ",
                "é",
                "deb",
                "rc1",
                "99999999999999999999",
                "2147483648:",
            ],
        ),
        Scheme::Rpm => (
            &[
                "1:1.1.1k-9.el8_7",
                "4.18.0-477.27.1.el8_8",
                "2.28-225.el8_8.6",
                "0:3.6.8-51.el8",
                "7.61.1-30.el8_8.3",
                "1.0~rc1-1.fc38",
                "2.0^20230101git1234-1",
                "5.14.21-150400.24",
                "32:9.11.36-8.el8_8.2",
                "20230731-1.git94d4a02.amzn2023",
                "8.0p1-17.el8_7",
                "1.8.23",
            ],
            &[
                "0",
                "00",
                "1",
                "10",
                "01",
                "~",
                "^",
                "-",
                ".",
                "_",
                "+",
                ":",
                "0:",
                "5:",
                "a",
                "b",
                "Z",
                "rc",
                "el8",
                "~~",
                "^~",
                "é",
                " ",
                "99999999999999999999",
            ],
        ),
        Scheme::Apk => (
            &[
                "1.2.4-r1",
                "3.1.4-r5",
                "7.88.1-r0",
                "1.36.1-r15",
                "2.12.9_p1-r0",
                "9.3_p2-r2",
                "1.8.31p1-r1",
                "1.0_alpha2",
                "2.0_rc1_p3-r4",
                "6.6.2p1-r0",
                "0.1_git20240101-r0",
                "1.2.3b_pre2",
                "1.0~1234abcd-r1",
                "20230506-r0",
                "1.06-r6",
                "8.2.0015",
                "5.15.98-r0",
            ],
            &[
                "0", "00", "1", "9", "10", "012", ".", "..", "a", "b", "p", "_", "_alpha", "_rc1",
                "_p", "_git", "_cvs2", "-r", "-r0", "-r01", "~", "~abc", "-", "A", "_foo",
            ],
        ),
        Scheme::Semver | Scheme::Npm | Scheme::Golang => (
            &[
                "1.2.3",
                "v4.17.21",
                "0.0.1",
                "1.0.0-alpha.1",
                "1.0.0-rc.1+build.5",
                "2.0.0-beta.11",
                "10.20.30",
                "1.0.0-x-y-z.4",
                "1.2.3+meta",
                "0.0.0-20210101000000-abcdef123456",
                "v2.0.0+incompatible",
                "1.0.0-0.3.7",
                "5.0.0-next.9007199254740993",
                "v1",
                "v1.2",
            ],
            &[
                "0",
                "00",
                "1",
                "9",
                "10",
                "01",
                ".",
                "-",
                "--",
                "+",
                "v",
                "=",
                "a",
                "A",
                "rc",
                "-0",
                "-01",
                ".0",
                " ",
                "9007199254740991",
                "9007199254740992",
                "é",
                "99999999999999999999",
            ],
        ),
        Scheme::Pep440 => (
            &[
                "2.28.1",
                "1.0rc1",
                "4.2.post1",
                "3.0.0.dev5",
                "1!2.0",
                "1.0a1.post2.dev3",
                "2023.7.22",
                "1.0+local.1",
                "0.9.beta",
                "v1.0.0-rc.2",
                "1.0-1",
                "5.0.0b2",
                "1.0.0",
                "1.0+ubuntu-1",
                "1.0.0.0.1",
                "2.0.preview3",
                "1.0c4",
                "0.1.rev7",
            ],
            &[
                "0",
                "00",
                "1",
                "10",
                ".",
                "-",
                "_",
                "+",
                "!",
                "a",
                "b",
                "c",
                "rc",
                "dev",
                "post",
                "alpha",
                "PRE",
                "rev",
                "r",
                "v",
                "1!",
                ".0",
                "+a",
                " ",
                "\u{1f}",
                "x",
                "é",
                "99999999999999999999",
            ],
        ),
        Scheme::Composer | Scheme::ComposerLetters => (
            &[
                "1.2.3",
                "v2.0.0",
                "1.0.0-beta2",
                "1.0.0-RC1",
                "dev-main",
                "2.x-dev",
                "1.0.x-dev",
                "3.4.5-patch1",
                "1.0.0alpha",
                "2010.01.02",
                "20100102-203040",
                "1.0.0+meta",
                "5.1.0-stable",
                "v6.5.0-beta-0",
                "1.2-dev",
                "4.0.0-p3",
                "dev-feature/x",
                "1.0.0.0",
                "2.0.0-beta.2.1-dev",
                "1.*-dev",
                "1.0 as 2.0",
                "1.0@dev",
            ],
            &[
                "0",
                "00",
                "1",
                "9",
                "10",
                ".",
                "-",
                "_",
                "+",
                "x",
                "*",
                "v",
                "dev",
                "-dev",
                "dev-",
                "alpha",
                "a",
                "b",
                "beta",
                "RC",
                "rc",
                "patch",
                "pl",
                "p",
                "stable",
                "STABLE",
                "#",
                "@beta",
                " as ",
                " ",
                "\n",
                "12345",
                "123456",
                "é",
                "9223372036854775808",
            ],
        ),
        Scheme::RubyGems => (
            &[
                "6.1.7.3",
                "1.0.0.pre1",
                "2.0.0.rc2",
                "1.15.4-java",
                "0.0.1",
                "3.2.1.beta.2",
                "1.0.a10",
                "5.0.0.1",
                "1.13.0-x86_64",
                "2.3",
                "1.0.0-1",
                "4.0.0.alpha",
                "1.a.0.b",
            ],
            &[
                "0",
                "00",
                "1",
                "9",
                "10",
                ".",
                ".0",
                "-",
                "--",
                "a",
                "b",
                "Z",
                "pre",
                "rc",
                " ",
                "\n",
                "_",
                "é",
                ".a",
                "a.0",
                "99999999999999999999",
            ],
        ),
        Scheme::Maven => (
            &[
                "1.2.3",
                "2.13.4.2",
                "5.3.27",
                "1.0-SNAPSHOT",
                "2.0.0-alpha-1",
                "1.0-rc1",
                "4.1.94.Final",
                "31.1-jre",
                "1.0-beta-2",
                "3.0.0-M1",
                "2.7.18",
                "9.0.0.M1",
                "1.1-b3",
                "1.0.0-20230101",
                "2.0.0.RELEASE",
                "1.0.1-sp1",
                "4.0.0-cr2",
                "10.1.0-milestone3",
                "1-1.foo-bar1baz-.1",
            ],
            &[
                "0",
                "00",
                "1",
                "10",
                ".",
                "-",
                "a",
                "b1",
                "m",
                "alpha",
                "rc",
                "cr",
                "SNAPSHOT",
                "ga",
                "final",
                "sp",
                "foo",
                "é",
                "É",
                ".0",
                "-0",
                "99999999999999999999",
            ],
        ),
    }
}

/// Returns some version, or a text that nearly is one.
pub(crate) fn version(scheme: Scheme, random: &mut Random) -> String {
    let (found, pieces) = material(scheme);
    match random.below(4) {
        0 => random.pick(found).to_owned(),
        1 => mutated(random.pick(found), pieces, random),
        2 => {
            let first = mutated(random.pick(found), pieces, random);
            mutated(&first, pieces, random)
        }
        _ => (0..=random.below(6)).map(|_| random.pick(pieces)).collect(),
    }
}

/// Returns the text with one place changed.
fn mutated(text: &str, pieces: &[&str], random: &mut Random) -> String {
    let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let at = places[random.below(places.len())];
    let (head, tail) = text.split_at(at);
    let after = tail.strip_prefix(|_: char| true).unwrap_or(tail);
    match random.below(5) {
        0 => format!("{head}{after}"),
        1 => format!("{head}{}{tail}", random.pick(pieces)),
        2 => format!("{head}{}{after}", random.pick(pieces)),
        3 => format!("{head}{}{after}", random.below(12)),
        _ => head.to_owned(),
    }
}

/// Returns pairs: neighbours that differ little, and strangers.
pub(crate) fn pairs(scheme: Scheme, seed: u64, count: usize) -> Vec<(String, String)> {
    let mut random = Random::new(seed);
    let (_, pieces) = material(scheme);
    (0..count)
        .map(|_| {
            let a = version(scheme, &mut random);
            let b = match random.below(3) {
                0 => version(scheme, &mut random),
                _ => mutated(&a, pieces, &mut random),
            };
            (a, b)
        })
        .collect()
}
