// SPDX-License-Identifier: MIT
// Reads every URL on stdin with Go's net/http and says what it made of the answer: complete, status or broken.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	client := http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{Proxy: nil}}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := client.Get(lines.Text())
		if err != nil {
			fmt.Println("broken")
			continue
		}
		size, err := io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if err != nil {
			fmt.Println("broken")
			continue
		}
		word := "complete"
		if answer.StatusCode != 200 {
			word = "status"
		}
		fmt.Println(word, answer.StatusCode, size)
	}
}
