package main

type tree struct{ left, right *tree }

func newTree(depth uint64) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{newTree(depth - 1), newTree(depth - 1)}
}

func (t *tree) count() uint64 {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func shortLivedTrees(depth uint64, tree func(uint64) uint64) uint64 {
	var nodes uint64
	for ofDepth := uint64(4); ofDepth <= depth; ofDepth += 2 {
		for i := uint64(0); i < 1<<(depth-ofDepth+4); i++ {
			nodes += tree(ofDepth)
		}
	}
	return nodes
}

func binaryTrees(sizes []uint64) uint64 {
	depth := sizes[0]
	stretch := newTree(depth + 1).count()
	longLived := newTree(depth)
	nodes := shortLivedTrees(depth, func(depth uint64) uint64 { return newTree(depth).count() })
	return stretch + nodes + longLived.count()
}

type family struct{ parent, left, right *family }

func newFamily(depth uint64, parent *family) *family {
	node := &family{parent: parent}
	if depth > 0 {
		node.left = newFamily(depth-1, node)
		node.right = newFamily(depth-1, node)
	}
	return node
}

// count gives the nodes that know their parent.
func (f *family) count(parent *family) uint64 {
	var known uint64
	if f.parent == parent {
		known = 1
	}
	if f.left == nil {
		return known
	}
	return known + f.left.count(f) + f.right.count(f)
}

func parentTrees(sizes []uint64) uint64 {
	depth := sizes[0]
	stretch := newFamily(depth+1, nil).count(nil)
	longLived := newFamily(depth, nil)
	nodes := shortLivedTrees(depth, func(depth uint64) uint64 { return newFamily(depth, nil).count(nil) })
	return stretch + nodes + longLived.count(nil)
}

type node struct {
	left, right *node
	numbers     [2]uint32
}

func (n *node) populate(depth uint64) {
	if depth > 0 {
		n.left, n.right = &node{}, &node{}
		n.left.populate(depth - 1)
		n.right.populate(depth - 1)
	}
}

func fromTheRoot(depth uint64) *node {
	root := &node{}
	root.populate(depth)
	return root
}

func fromTheLeaves(depth uint64) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: fromTheLeaves(depth - 1), right: fromTheLeaves(depth - 1)}
}

func (n *node) leftmostPath() uint64 {
	var length uint64
	for n.left != nil {
		n = n.left
		length++
	}
	return length
}

func gcbench(sizes []uint64) uint64 {
	depth, length := sizes[0], sizes[1]
	stretch := fromTheLeaves(depth).leftmostPath()
	longLived := fromTheRoot(depth - 2)
	array := make([]float64, length)
	for index := range array {
		array[index] = 1 / (float64(index) + 1)
	}
	size := func(depth uint64) uint64 { return 2<<depth - 1 }
	var paths uint64
	for ofDepth := uint64(4); ofDepth < depth-1; ofDepth += 2 {
		for i := uint64(0); i < 2*size(depth)/size(ofDepth); i++ {
			paths += fromTheRoot(ofDepth).leftmostPath() + fromTheLeaves(ofDepth).leftmostPath()
		}
	}
	return stretch + paths + longLived.leftmostPath() + uint64(1/array[length/2])
}
