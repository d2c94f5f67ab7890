<?php
// Answers with composer/semver; pairs of hexadecimal texts on standard input.
require '/usr/share/php/Composer/Semver/autoload.php';
use Composer\Semver\Comparator;
use Composer\Semver\VersionParser;

$parser = new VersionParser();
while (($line = fgets(STDIN)) !== false) {
    [$a, $b] = array_map('hex2bin', explode("\t", rtrim($line, "\n")));
    try {
        [$a, $b] = [$parser->normalize($a), $parser->normalize($b)];
        echo Comparator::equalTo($a, $b) ? '='
            : (Comparator::lessThan($a, $b) ? '<' : (Comparator::greaterThan($a, $b) ? '>' : '?')), "\n";
    } catch (UnexpectedValueException) {
        echo "?\n";
    }
}
