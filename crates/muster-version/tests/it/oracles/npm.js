// Answers with npm's semver; pairs of hexadecimal texts on standard input.
const semver = require('semver')
const lines = require('fs').readFileSync(0, 'utf8').split('\n').slice(0, -1)
for (const line of lines) {
  const [a, b] = line.split('\t').map((text) => Buffer.from(text, 'hex').toString('utf8'))
  const known = semver.valid(a) !== null && semver.valid(b) !== null
  console.log(known ? ['<', '=', '>'][semver.compare(a, b) + 1] : '?')
}
