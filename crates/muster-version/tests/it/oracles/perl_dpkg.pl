# Answers with Dpkg::Version of libdpkg-perl; pairs of hexadecimal texts on standard input.
use strict;
use warnings;
use Dpkg::Version;
while (<STDIN>) {
    chomp;
    my ($a, $b) = map { pack 'H*', $_ } split /\t/, $_, -1;
    my ($x, $y) = map { Dpkg::Version->new($_, check => 1) } $a, $b;
    print defined $x && defined $y ? ('<', '=', '>')[version_compare($a, $b) + 1] : '?', "\n";
}
