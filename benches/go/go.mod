module graphgc-benches

go 1.19
