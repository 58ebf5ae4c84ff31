package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

type item struct {
	value uint64
	next  *item
}

func list(sizes []uint64) (sum uint64) {
	length, walks := sizes[0], sizes[1]
	head := &item{}
	phase("build", func() {
		tail := head
		for value := uint64(1); value < length; value++ {
			tail.next = &item{value: value}
			tail = tail.next
		}
	})
	phase("walk", func() {
		for walk := uint64(0); walk < walks; walk++ {
			for it := head; it != nil; it = it.next {
				sum += it.value
			}
		}
	})
	return sum
}

type vertex struct {
	number uint32
	edges  []*vertex
}

func search(start *vertex, vertices uint64) uint64 {
	var sum, place uint64
	seen := make([]bool, vertices)
	seen[start.number] = true
	queue := []*vertex{start}
	for len(queue) > 0 {
		it := queue[0]
		queue = queue[1:]
		place++
		sum += place * uint64(it.number)
		for _, next := range it.edges {
			if !seen[next.number] {
				seen[next.number] = true
				queue = append(queue, next)
			}
		}
	}
	return sum
}

func graph(sizes []uint64) (sum uint64) {
	vertices, edges, searches, rewires := sizes[0], sizes[1], sizes[2], sizes[3]
	random := newRandom(1)
	all := make([]*vertex, vertices)
	phase("build", func() {
		for number := range all {
			all[number] = &vertex{number: uint32(number)}
		}
		for edge := uint64(0); edge < edges; edge++ {
			from, to := random.below(vertices), random.below(vertices)
			all[from].edges = append(all[from].edges, all[to])
		}
	})
	phase("bfs", func() {
		for i := uint64(0); i < searches; i++ {
			sum += search(all[0], vertices)
		}
	})
	phase("rewire", func() {
		for i := uint64(0); i < rewires; i++ {
			from, to := random.below(vertices), random.below(vertices)
			if edges := all[from].edges; len(edges) > 0 {
				edges[random.below(uint64(len(edges)))] = all[to]
			}
		}
	})
	return sum + search(all[0], vertices)
}

func alloc(sizes []uint64) (sum uint64) {
	held := make([]*[4]uint64, sizes[1])
	for number := uint64(0); number < sizes[0]; number++ {
		held[number%sizes[1]] = &[4]uint64{number, number, number, number}
	}
	for _, it := range held {
		if it != nil {
			sum += it[3]
		}
	}
	return sum
}

type place struct {
	number uint64
	edges  [4]atomic.Pointer[place]
}

func sharedRead(sizes []uint64) (sum uint64) {
	places, steps, threads := sizes[0], sizes[1], sizes[2]
	random := newRandom(1)
	all := make([]*place, places)
	for number := range all {
		all[number] = &place{number: uint64(number)}
	}
	for _, it := range all {
		for edge := range it.edges {
			it.edges[edge].Store(all[random.below(places)])
		}
	}
	phase("walk", func() {
		sum = onThreads(threads, func(index uint64) (sum uint64) {
			it, random := all[index], newRandom(index+2)
			for step := uint64(0); step < steps; step++ {
				sum += it.number
				it = it.edges[random.below(4)].Load()
			}
			return sum
		})
	})
	return sum
}

type link struct {
	place uint64
	next  *link
}

func churn(sizes []uint64) (sum uint64) {
	times, threads := sizes[1], sizes[2]
	lists := make([]atomic.Pointer[link], sizes[0])
	phase("push", func() {
		onThreads(threads, func(index uint64) uint64 {
			random := newRandom(index + 1)
			for time := uint64(0); time < times; time++ {
				list := &lists[random.below(uint64(len(lists)))]
				for {
					head := list.Load()
					it := &link{place: 1}
					if head != nil && head.place < 4 {
						it.place, it.next = head.place+1, head
					}
					if list.CompareAndSwap(head, it) {
						break
					}
				}
			}
			return 0
		})
	})
	for index := range lists {
		for it := lists[index].Load(); it != nil; it = it.next {
			sum += it.place * uint64(index+1)
		}
	}
	return sum
}

type leaf struct {
	value    uint64
	children [2]*leaf
	// Our node has a header.
	_ uint64
}

// markSeconds gives the CPU time that marking has taken; 0 where the runtime does not say.
func markSeconds() (sum float64) {
	samples := []metrics.Sample{
		{Name: "/cpu/classes/gc/mark/assist:cpu-seconds"},
		{Name: "/cpu/classes/gc/mark/dedicated:cpu-seconds"},
		{Name: "/cpu/classes/gc/mark/idle:cpu-seconds"},
	}
	metrics.Read(samples)
	for _, sample := range samples {
		if sample.Value.Kind() == metrics.KindFloat64 {
			sum += sample.Value.Float64()
		}
	}
	return sum
}

func mark(sizes []uint64) (sum uint64) {
	nodes, times := sizes[0], sizes[1]
	all := make([]*leaf, nodes)
	order := make([]uint64, nodes)
	for value := range all {
		all[value] = &leaf{value: uint64(value)}
		order[value] = uint64(value)
	}
	random := newRandom(1)
	for index := nodes - 1; index > 0; index-- {
		other := random.below(index + 1)
		order[index], order[other] = order[other], order[index]
	}
	for child := uint64(1); child < nodes; child++ {
		all[order[(child-1)/2]].children[(child-1)%2] = all[order[child]]
	}
	root := all[order[0]]
	all, order = nil, nil
	// Only collections that are asked for, by one thread.
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(1)
	runtime.GC()
	begun, before := time.Now(), markSeconds()
	for i := uint64(0); i < times; i++ {
		runtime.GC()
	}
	fmt.Printf("phase cycle %g\n", time.Since(begun).Seconds()/float64(times))
	if before > 0 {
		fmt.Printf("phase mark %g\n", (markSeconds()-before)/float64(times))
	}
	stack := []*leaf{root}
	for len(stack) > 0 {
		it := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		sum += it.value
		for _, child := range it.children {
			if child != nil {
				stack = append(stack, child)
			}
		}
	}
	return sum
}

func bytesPerObject(sizes []uint64) uint64 {
	small := perObject[[1]uint64](sizes[0], "8", func(number uint64) [1]uint64 { return [1]uint64{number} })
	medium := perObject[[3]uint64](sizes[0], "24", func(number uint64) [3]uint64 { return [3]uint64{number, number} })
	large := perObject[[7]uint64](sizes[0], "56", func(number uint64) [7]uint64 { return [7]uint64{number, number, number} })
	var sum uint64
	for index := range small {
		sum += small[index][0] + medium[index][1] + large[index][2]
	}
	return sum
}

func perObject[T any](objects uint64, name string, value func(uint64) T) []*T {
	all := make([]*T, objects)
	// Touches the array's pages.
	for index := range all {
		all[index] = nil
	}
	before := resident()
	for number := range all {
		it := value(uint64(number))
		all[number] = &it
	}
	fmt.Printf("value payload_%s %g\n", name, (resident()-before)/float64(objects))
	return all
}
