// One contestant, Go, in one program. `compare` builds and starts it; `benches/src/lib.rs` says how the contest works.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

var programs = map[string]func([]uint64) uint64{
	"binary_trees":  binaryTrees,
	"parent_trees":  parentTrees,
	"gcbench":       gcbench,
	"list":          list,
	"graph":         graph,
	"alloc":         alloc,
	"alloc_held":    alloc,
	"shared_read":   sharedRead,
	"shared_read_1": sharedRead,
	"churn_mt":      churn,
	"churn_mt_1":    churn,
	"mark":          mark,
	"bytes":         bytesPerObject,
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "list" {
		for name := range programs {
			fmt.Printf("Go\t%s\n", name)
		}
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println(runtime.Version())
		return
	}
	if len(os.Args) < 4 || os.Args[1] != "run" || programs[os.Args[3]] == nil {
		fmt.Fprintln(os.Stderr, "say `list`, `version` or `run CONTESTANT PROGRAM NUMBER…`")
		os.Exit(1)
	}
	var sizes []uint64
	for _, argument := range os.Args[4:] {
		size, err := strconv.ParseUint(argument, 10, 64)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		sizes = append(sizes, size)
	}
	fmt.Printf("checksum %d\n", programs[os.Args[3]](sizes))
}

// phase runs work and reports the time under that name.
func phase(name string, work func()) {
	begun := time.Now()
	work()
	fmt.Printf("phase %s %g\n", name, time.Since(begun).Seconds())
}

// onThreads runs work with the numbers below threads, each on a goroutine of its own, and gives the sum of the results.
func onThreads(threads uint64, work func(uint64) uint64) uint64 {
	results := make([]uint64, threads)
	var group sync.WaitGroup
	for index := range results {
		group.Add(1)
		go func(index int) {
			defer group.Done()
			results[index] = work(uint64(index))
		}(index)
	}
	group.Wait()
	var sum uint64
	for _, result := range results {
		sum += result
	}
	return sum
}

// random numbers, the same in every language of the contest (xorshift64*).
type random uint64

func newRandom(seed uint64) *random {
	state := random(seed*0x9E3779B97F4A7C15 | 1)
	return &state
}

func (r *random) below(bound uint64) uint64 {
	state := uint64(*r)
	state ^= state >> 12
	state ^= state << 25
	state ^= state >> 27
	*r = random(state)
	return ((state * 0x2545F4914F6CDD1D) >> 32) * bound >> 32
}

// resident memory of this process, in bytes.
func resident() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.ParseUint(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		panic(err)
	}
	return float64(pages * 4096)
}
