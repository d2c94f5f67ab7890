# Answers with Gem::Version; pairs of hexadecimal texts on standard input.
require 'rubygems'
STDIN.each_line do |line|
  a, b = line.chomp.split("\t", -1).map { |text| [text].pack('H*').force_encoding('UTF-8') }
  if Gem::Version.correct?(a) && Gem::Version.correct?(b)
    puts ['<', '=', '>'][(Gem::Version.new(a) <=> Gem::Version.new(b)) + 1]
  else
    puts '?'
  end
end
