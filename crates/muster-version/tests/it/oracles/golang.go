// Answers with golang.org/x/mod/semver; pairs of hexadecimal texts on standard input.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/semver"
)

func version(text string) string {
	plain, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	if strings.HasPrefix(string(plain), "v") {
		return string(plain)
	}
	return "v" + string(plain)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		pair := strings.Split(lines.Text(), "\t")
		a, b := version(pair[0]), version(pair[1])
		if semver.IsValid(a) && semver.IsValid(b) {
			fmt.Println([]string{"<", "=", ">"}[semver.Compare(a, b)+1])
		} else {
			fmt.Println("?")
		}
	}
}
