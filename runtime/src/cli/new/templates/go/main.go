// Says hello, how much time is left, and how much it was sent.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"function/hourglass"
)

func main() {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the request broke off:", err)
		os.Exit(1)
	}
	name := strings.TrimPrefix(os.Getenv("PATH_INFO"), "/")
	if name == "" {
		name = "world"
	}
	fmt.Print("Content-Type: text/plain; charset=utf-8\n\n")
	fmt.Printf("hello %s, from Go\n", name)
	if left, ok := hourglass.Remaining(); ok {
		fmt.Printf("%v left\n", left.Round(time.Millisecond))
	}
	fmt.Println(len(body), "bytes")
}
