// One contestant, Boehm's collector, in one program. `compare` builds and starts it; `benches/src/lib.rs` says how the contest works.
#include <gc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *scanned(size_t bytes) { return GC_MALLOC(bytes); }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void phase(const char *name, double begun) { printf("phase %s %.9g\n", name, now() - begun); }

// Random numbers, the same in every language of the contest (xorshift64*).
static uint64_t random_state;

static void seed(uint64_t number) { random_state = (number * 0x9E3779B97F4A7C15u) | 1; }

static uint64_t below(uint64_t bound) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return ((random_state * 0x2545F4914F6CDD1Du) >> 32) * bound >> 32;
}

struct tree {
    struct tree *left, *right;
};

static struct tree *new_tree(uint64_t depth) {
    struct tree *tree = scanned(sizeof *tree);
    if (depth > 0) {
        tree->left = new_tree(depth - 1);
        tree->right = new_tree(depth - 1);
    }
    return tree;
}

static uint64_t count(const struct tree *tree) { return tree->left ? 1 + count(tree->left) + count(tree->right) : 1; }

static uint64_t tree_once(uint64_t depth) { return count(new_tree(depth)); }

static uint64_t short_lived_trees(uint64_t depth, uint64_t (*once)(uint64_t)) {
    uint64_t nodes = 0;
    for (uint64_t of_depth = 4; of_depth <= depth; of_depth += 2)
        for (uint64_t i = 0; i < (uint64_t)1 << (depth - of_depth + 4); i++) nodes += once(of_depth);
    return nodes;
}

static uint64_t binary_trees(const uint64_t *sizes) {
    uint64_t stretch = tree_once(sizes[0] + 1);
    struct tree *long_lived = new_tree(sizes[0]);
    uint64_t nodes = short_lived_trees(sizes[0], tree_once);
    return stretch + nodes + count(long_lived);
}

struct family {
    struct family *parent, *left, *right;
};

static struct family *new_family(uint64_t depth, struct family *parent) {
    struct family *node = scanned(sizeof *node);
    node->parent = parent;
    if (depth > 0) {
        node->left = new_family(depth - 1, node);
        node->right = new_family(depth - 1, node);
    }
    return node;
}

static uint64_t count_family(const struct family *node, const struct family *parent) {
    uint64_t known = node->parent == parent;
    return node->left ? known + count_family(node->left, node) + count_family(node->right, node) : known;
}

static uint64_t family_once(uint64_t depth) { return count_family(new_family(depth, NULL), NULL); }

static uint64_t parent_trees(const uint64_t *sizes) {
    uint64_t stretch = family_once(sizes[0] + 1);
    struct family *long_lived = new_family(sizes[0], NULL);
    uint64_t nodes = short_lived_trees(sizes[0], family_once);
    return stretch + nodes + count_family(long_lived, NULL);
}

struct node {
    struct node *left, *right;
    uint32_t numbers[2];
};

static void populate(struct node *node, uint64_t depth) {
    if (depth > 0) {
        node->left = scanned(sizeof *node);
        node->right = scanned(sizeof *node);
        populate(node->left, depth - 1);
        populate(node->right, depth - 1);
    }
}

static struct node *from_the_root(uint64_t depth) {
    struct node *root = scanned(sizeof *root);
    populate(root, depth);
    return root;
}

static struct node *from_the_leaves(uint64_t depth) {
    struct node *node = scanned(sizeof *node);
    if (depth > 0) {
        node->left = from_the_leaves(depth - 1);
        node->right = from_the_leaves(depth - 1);
    }
    return node;
}

static uint64_t leftmost_path(const struct node *node) {
    uint64_t length = 0;
    for (; node->left; node = node->left) length++;
    return length;
}

static uint64_t tree_size(uint64_t depth) { return ((uint64_t)2 << depth) - 1; }

static uint64_t gcbench(const uint64_t *sizes) {
    uint64_t depth = sizes[0], length = sizes[1], paths = 0;
    uint64_t stretch = leftmost_path(from_the_leaves(depth));
    struct node *long_lived = from_the_root(depth - 2);
    double *array = GC_MALLOC_ATOMIC(length * sizeof *array);
    for (uint64_t i = 0; i < length; i++) array[i] = 1 / ((double)i + 1);
    for (uint64_t of_depth = 4; of_depth < depth - 1; of_depth += 2)
        for (uint64_t i = 0; i < 2 * tree_size(depth) / tree_size(of_depth); i++)
            paths += leftmost_path(from_the_root(of_depth)) + leftmost_path(from_the_leaves(of_depth));
    return stretch + paths + leftmost_path(long_lived) + (uint64_t)(1 / array[length / 2]);
}

struct item {
    uint64_t value;
    struct item *next;
};

static uint64_t list(const uint64_t *sizes) {
    double begun = now();
    struct item *head = scanned(sizeof *head), *tail = head;
    for (uint64_t value = 1; value < sizes[0]; value++) {
        tail->next = scanned(sizeof *tail);
        tail = tail->next;
        tail->value = value;
    }
    phase("build", begun);
    begun = now();
    uint64_t sum = 0;
    for (uint64_t i = 0; i < sizes[1]; i++)
        for (const struct item *item = head; item; item = item->next) sum += item->value;
    phase("walk", begun);
    return sum;
}

struct vertex {
    uint32_t number, length, capacity;
    struct vertex **edges;
};

static void push_edge(struct vertex *from, struct vertex *to) {
    if (from->length == from->capacity) {
        from->capacity = from->capacity ? 2 * from->capacity : 4;
        from->edges = GC_REALLOC(from->edges, from->capacity * sizeof *from->edges);
    }
    from->edges[from->length++] = to;
}

static uint64_t search(const struct vertex *start, uint64_t vertices) {
    uint64_t sum = 0, first = 0, last = 0;
    char *seen = calloc(vertices, 1);
    // The vertices stay alive by the graph.
    const struct vertex **queue = malloc(vertices * sizeof *queue);
    seen[start->number] = 1;
    queue[last++] = start;
    while (first < last) {
        const struct vertex *vertex = queue[first++];
        sum += first * vertex->number;
        for (uint32_t i = 0; i < vertex->length; i++) {
            const struct vertex *next = vertex->edges[i];
            if (!seen[next->number]) {
                seen[next->number] = 1;
                queue[last++] = next;
            }
        }
    }
    free(queue);
    free(seen);
    return sum;
}

static uint64_t graph(const uint64_t *sizes) {
    uint64_t vertices = sizes[0], sum = 0;
    seed(1);
    double begun = now();
    struct vertex **all = GC_MALLOC(vertices * sizeof *all);
    for (uint64_t i = 0; i < vertices; i++) {
        all[i] = scanned(sizeof **all);
        all[i]->number = i;
    }
    for (uint64_t i = 0; i < sizes[1]; i++) {
        uint64_t from = below(vertices), to = below(vertices);
        push_edge(all[from], all[to]);
    }
    phase("build", begun);
    begun = now();
    for (uint64_t i = 0; i < sizes[2]; i++) sum += search(all[0], vertices);
    phase("bfs", begun);
    begun = now();
    for (uint64_t i = 0; i < sizes[3]; i++) {
        struct vertex *from = all[below(vertices)], *to = all[below(vertices)];
        if (from->length > 0) from->edges[below(from->length)] = to;
    }
    phase("rewire", begun);
    return sum + search(all[0], vertices);
}

static uint64_t alloc(const uint64_t *sizes) {
    uint64_t **held = GC_MALLOC(sizes[1] * sizeof *held), sum = 0;
    for (uint64_t number = 0; number < sizes[0]; number++) {
        uint64_t *object = GC_MALLOC_ATOMIC(4 * sizeof *object);
        object[0] = object[1] = object[2] = object[3] = number;
        held[number % sizes[1]] = object;
    }
    for (uint64_t i = 0; i < sizes[1]; i++)
        if (held[i]) sum += held[i][3];
    return sum;
}

static double resident(void) {
    unsigned long all = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu %lu", &all, &pages) != 2) abort();
    fclose(file);
    return pages * 4096.0;
}

static uint64_t **per_object(uint64_t objects, int words) {
    uint64_t **all = GC_MALLOC(objects * sizeof *all);
    double before = resident();
    for (uint64_t number = 0; number < objects; number++) {
        all[number] = GC_MALLOC_ATOMIC(words * sizeof **all);
        all[number][0] = number;
    }
    printf("value payload_%d %.9g\n", 8 * words, (resident() - before) / objects);
    return all;
}

static uint64_t bytes(const uint64_t *sizes) {
    uint64_t **small = per_object(sizes[0], 1), **medium = per_object(sizes[0], 3), **large = per_object(sizes[0], 7), sum = 0;
    for (uint64_t i = 0; i < sizes[0]; i++) sum += small[i][0] + medium[i][0] + large[i][0];
    return sum;
}

static const struct {
    const char *name;
    uint64_t (*run)(const uint64_t *);
} programs[] = {{"binary_trees", binary_trees}, {"parent_trees", parent_trees}, {"gcbench", gcbench}, {"list", list},
                {"graph", graph},               {"alloc", alloc},               {"alloc_held", alloc},
                {"bytes", bytes}};

int main(int arguments, char **argument) {
    size_t known = sizeof programs / sizeof *programs;
    if (arguments == 2 && !strcmp(argument[1], "list")) {
        for (size_t i = 0; i < known; i++) printf("Boehm\t%s\n", programs[i].name);
        return 0;
    }
    if (arguments == 2 && !strcmp(argument[1], "version")) {
        printf("Boehm %d.%d.%d\n", GC_VERSION_MAJOR, GC_VERSION_MINOR, GC_VERSION_MICRO);
        return 0;
    }
    uint64_t sizes[8] = {0};
    for (int i = 4; i < arguments && i < 12; i++) sizes[i - 4] = strtoull(argument[i], NULL, 10);
    GC_INIT();
    for (size_t i = 0; arguments >= 4 && i < known; i++)
        if (!strcmp(argument[1], "run") && !strcmp(argument[3], programs[i].name)) {
            printf("checksum %lu\n", (unsigned long)programs[i].run(sizes));
            return 0;
        }
    fprintf(stderr, "say `list`, `version` or `run CONTESTANT PROGRAM NUMBER...`\n");
    return 1;
}
