# What runs on a server that is inspected over SSH. POSIX sh, for dash, busybox and bash alike; it reads, and writes nothing but
# its answer. Its lines are joined into one (see script.rs), so: no quotes of the single kind, and each line is whole.
exec 2>/dev/null
O=$PATH
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin
# Root takes no program from where its caller says.
if [ "$(id -u)" != 0 ]; then PATH=$PATH:$O; fi
LC_ALL=C
export PATH LC_ALL
umask 077
cd /
T=
for c in cat find grep ls readlink sed sort tar tr wc xargs; do
if command -v $c >/dev/null; then :; else T="$T $c"; fi
done
case $T in
?*) printf "\nmuster lacks%s\n" "$T"
exit;;
esac
N=$(printf "\nx")
N=${N%x}
@SHORT@
# Any part of a name, in a regular expression.
X="[^/]*"
# What the walk is for, by the end of a path.
Z="@ENDS@"
# o TEXT...: lines.
o() {
printf "%s\n" "$@"
}
# u PATH: the nearest directory above that is there; one that may not be looked into is told.
u() {
while :; do
case $1 in /*/*) set -- "${1%/*}";; *) return;; esac
if [ -d "$1" ]; then
if [ -r "$1" ] && [ -x "$1" ]; then :; else printf "R %s\n" "$1"; fi
return
fi
done
}
# d PATH: a directory.
d() {
if [ -r "$1" ] && [ -x "$1" ]; then printf "d %s\n" "$1"; else printf "R %s\n" "$1"; fi
}
# t PATH: what a link leads to.
t() {
T=$(readlink -f "$1")
if [ -f "$T" ]; then
if [ -r "$T" ]; then printf "c %s\n" "$T"; else printf "r %s\n" "$T"; fi
elif [ -d "$T" ]; then printf "D %s\n" "$T"
else
u "$T"
fi
}
# k PATH: a name, without what is in it.
k() {
case $1 in *"$N"*) printf "o\n"; return;; esac
if [ -L "$1" ]; then printf "l %s\n" "$1"
elif [ -d "$1" ]; then printf "D %s\n" "$1"
elif [ -f "$1" ]; then printf "n %s\n" "$1"
elif [ -e "$1" ]; then printf "s %s\n" "$1"
fi
}
# e PATH...: files with what is in them.
e() {
for p do
case $p in *"$N"*) printf "o\n"; continue;; esac
if [ -L "$p" ]; then printf "l %s\n" "$p"; t "$p"
elif [ -f "$p" ]; then
if [ -r "$p" ]; then printf "f %s\n" "$p"; else printf "r %s\n" "$p"; fi
elif [ -d "$p" ]; then printf "D %s\n" "$p"
elif [ -e "$p" ]; then printf "s %s\n" "$p"
else
u "$p"
fi
done
}
# g PATH...: the directories in which names are looked for.
g() {
for p do
if [ -d "$p" ]; then d "$p"; else u "$p"; fi
done
}
# n PATH...: the names in directories.
n() {
for p do
if [ -L "$p" ]; then printf "l %s\n" "$p"; fi
if [ -d "$p" ]; then
d "$p"
for c in "$p"/* "$p"/.[!.]* "$p"/..?*; do k "$c"; done
else
u "$p"
fi
done
}
# b PATH: everything below; of keys and passwords the names alone.
b() {
if [ -d "$1" ] && [ ${#1} -lt 1000 ]; then
d "$1"
for c in "$1"/* "$1"/.[!.]* "$1"/..?*; do
case $c in *.key|*.pem|*.p12|*.pfx|*.jks|*passw*) k "$c"; continue;; esac
if [ -L "$c" ]; then e "$c"
elif [ -d "$c" ]; then b "$c"
elif [ -e "$c" ]; then e "$c"
fi
done
else
u "$1"
fi
}
# a PATH...: everything below each.
a() {
for q do b "$q"; done
}
# x: the mount points of local disks, each disk once.
x() {
S=
while read -r i j v o m r; do
case ${r#*- } in @LOCAL@) :;; *) continue;; esac
case $m in /|@UNDER@) continue;; esac
case $S in *" $v:$o "*|*" $v:/ "*) continue;; esac
S="$S $v:$o "
# Blanks and backslashes are written by their numbers.
printf "%b\n" "$m"
done
}
# f: the names of everything on local disks.
f() {
{
printf "/\n"
x < /proc/self/mountinfo
} | while read -r m; do find "$m" -xdev "(" @PRUNED@ ")" -print -prune -o -name "*$N*" -prune -exec sh -c "for p do echo o; done" sh "{}" + -o -print; done
}
# j PATH: a link that the walk met. Whoever may write there may make one to any file: it counts if that is named alike.
j() {
T=$(readlink -f "$1")
if o "$T" | grep -qaE -e "$Z"; then e "$1"; else printf "q %s\n" "$1"; fi
}
# y: what may belong to a web application, and what was refused on the way to it.
y() {
W=$(
{
f | grep -aE -e "$Z" -e "^o$" | while IFS= read -r p; do
case $p in
o) o o;;
@BESIDE@) k "$p";;
*) if [ -L "$p" ]; then j "$p"; else e "$p"; fi;;
esac
done >&5
} 2>&1
)
o "$W" | sed -n -e "s/^find: \(\/.*\): Permission denied$/W \1/p" -e "s/^find: [^\/]\(\/.*\).: Permission denied$/W \1/p"
}
# v: the links that document roots are, or that lie in them: an application elsewhere may be served by one.
v() {
grep -rhiE "^[[:space:]]*((script)?alias|(server.document-?|document)?root)[[:space:]=]" /etc/apache2 /etc/httpd /etc/nginx /etc/lighttpd /etc/caddy /usr/local/apache2/conf /usr/local/nginx/conf | sed -n -e "s/[\";[:space:]]*$//" -e "s/.*[\"[:space:]]\//\//p" | sort -u | while IFS= read -r p; do
for c in "$p" "$p"/* "$p"/.[!.]*; do
if [ -L "$c" ]; then k "$c"; fi
done
done
}
# What is behind a descriptor is never read: it may be a terminal, or a pipe that never ends.
# w PATH...: files of /proc: their size is not known before they are read, so they come as lines.
w() {
for p do
if [ -L "$p" ] || [ -e "$p" ]; then o "$p"; fi
done
}
# i: which indices a second question wants, a line each on the input; a first one has none there.
i() {
if [ -t 0 ]; then return; fi
while IFS= read -r p; do
case $p in
/var/lib/apt/lists/*/*) :;;
/var/lib/apt/lists/?*) if [ -f "$p" ] && [ -r "$p" ]; then o "$p"; fi;;
esac
done
}
I=$(i)
case $I in
?*) printf "\nmuster sends 1\n"
o "$I" | while IFS= read -r p; do
printf "%s %s\n" "$(wc -c < "$p" | tr -d " ")" "$p"
cat "$p"
printf "\n"
done
printf "muster has sent 1\n"
exit;;
esac
A=$(
printf "u %s\n" "$(id -u)"
sed -e "s/^/m /" /proc/self/mountinfo
@WANTED@
v
y 5>&1
)
P=$(
@NAMES@
)
Q=$(
{
@PROC@
} | sort -u
)
K="-e /exe$ -e /root$ -e /cwd$ -e /fd/ -e /ns/"
L=$(o "$P" "$Q" | grep $K | xargs ls -ldn 2>&1 | grep -v "/fd/[0-9]* -> [^s]")
# Of the tables of other networks than the first come what listens: every process has the whole of one.
l="-e ^/proc/[02-9][0-9]*/net/ -e ^/proc/1[0-9][0-9]*/net/"
M=$(
o "$Q" | grep -e "/maps$" | xargs grep -aHs -e "(deleted)" -e "^[^ ]* ..x" /dev/null
o "$Q" | grep $l | xargs grep -aHs " 0A " /dev/null
)
E=$(tr "\000" "\n" < /proc/1/environ | sed -n -e "s,^container=,/proc/1/environ:&,p")
F=$(o "$Q" | grep -v $K $l -e "/maps$" -e "/environ$" | xargs grep -aHs "" /dev/null | tr "\000" "\001")
# Indices go by their digests, where these can be told (openssl is several times as fast); what is wanted is asked for by a second question.
D=sha256sum
if command -v openssl >/dev/null; then D="openssl dgst -sha256 -r"; fi
H=$(o "$A" | sed -n -e "/Release$/d" -e "/Release.gpg$/d" -e "s,^[fc] \(/var/lib/apt/lists/[A-Za-z0-9._%+:~=@-]*\)$,\1,p" | sort -u | xargs $D /dev/null | sed -n -e "s,^\([0-9a-f]*\) [ *]/var/,h \1 /var/,p")
# What is far larger than anything that is read stays there: anyone can name a file of theirs like a part of an application.
# So does what has a second name and is not for everybody: anyone may have given it one.
B=$(o "$A" | sed -n -e "s,^[fc] /,./,p" | sort -u | tr "\n" "\000" | xargs -0 sh -c "find \"\$@\" -prune \\( -links +1 ! -perm -004 -o -size +524288 -o -size +8192 ! -path \\*/lib/\\* ! -path \\*/rpm/\\* ! -name \\*.war \\) -print" sh)
A=$(o "$B" | sed -n -e "s,^\./,b /,p")$N$H$N$A${N}p$N$P$N$Q$N$L$N$M$N$E$N$F
printf "\nmuster answers 1 %s\n%s\n" "${#A}" "$A"
C=$(o "$A" | sed -n -e "/^p$/q" -e "s,^[flc] /,./,p" | sort -u)
H=$(o "$H" | sed -n -e "s,^h [0-9a-f]* /,./,p")
C=$(o "$C" "$H" "$H" "$B" "$B" | sort | uniq -u)
case $(tar --version) in
*GNU*) o "$C" | tar -c --no-unquote -f - -T -;;
*) set -f; IFS=$N; tar -c -f - $C;;
esac
printf "\nmuster has answered 1 %s\n" "${#A}"
