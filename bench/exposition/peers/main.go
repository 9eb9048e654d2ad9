// How fast two other readers of metrics are on the same page: parsers FILE NEXT_FILE SECONDS.
//
//	prom-cache  Prometheus' scrape loop: textparse, and a map from each series' text to its entry
//	vm          VictoriaMetrics' parser: names, labels and values, without identities
//
// Prints the best of many passes: best=<MB/s> ns/item=<ns per sample>.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	vm "github.com/VictoriaMetrics/VictoriaMetrics/lib/protoparser/prometheus"
	"github.com/prometheus/prometheus/model/textparse"
)

type entry struct{ value float64 }

func promCache(page []byte, cache map[string]*entry) int {
	parser := textparse.NewPromParser(page)
	samples := 0
	for {
		kind, err := parser.Next()
		if err == io.EOF {
			return samples
		}
		if err != nil {
			panic(err)
		}
		if kind != textparse.EntrySeries {
			continue
		}
		series, _, value := parser.Series()
		known := cache[string(series)]
		if known == nil {
			known = &entry{}
			cache[string(series)] = known
		}
		known.value = value
		samples++
	}
}

func main() {
	var pages [2][]byte
	for i := range pages {
		var err error
		if pages[i], err = os.ReadFile(os.Args[1+i]); err != nil {
			panic(err)
		}
	}
	seconds, err := strconv.ParseFloat(os.Args[3], 64)
	if err != nil {
		panic(err)
	}
	debug.SetGCPercent(400)
	cache := map[string]*entry{}
	var rows vm.Rows
	ways := []struct {
		name string
		pass func([]byte) int
		best float64
	}{
		{"prom-cache", func(page []byte) int { return promCache(page, cache) }, 1e18},
		{"vm", func(page []byte) int { rows.Unmarshal(string(page)); return len(rows.Rows) }, 1e18},
	}
	samples := 0
	start := time.Now()
	for pass := 0; time.Since(start).Seconds() < seconds; pass++ {
		page := pages[(pass+1)%2]
		for i := range ways {
			begin := time.Now()
			samples = ways[i].pass(page)
			took := time.Since(begin).Seconds() / float64(len(page))
			if pass > 1 && took < ways[i].best {
				ways[i].best = took
			}
		}
	}
	for _, way := range ways {
		fmt.Printf("%-10s best=%.0f MB/s  ns/item=%.1f\n", way.name, 1e-6/way.best,
			way.best*1e9*float64(len(pages[0]))/float64(samples))
	}
}
