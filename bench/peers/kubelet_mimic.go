// Probes as the kubelet makes them, and nothing else of it: a goroutine and a time.Ticker per probe,
// a new connection each time, the body read up to 10 KiB.
//
//	kubelet_mimic URL N    asks URL once a second for each of N targets
//
// %s in URL is the target's address, 127.0.x.y. With -keep-alive it drives an exporter that probes
// for it, and keeps its connections to that as Prometheus does.
package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"time"
)

func probe(transport *http.Transport, url string) {
	client := &http.Client{Timeout: time.Second, Transport: transport}
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		panic(err)
	}
	request.Header.Set("User-Agent", "kube-probe/1.30")
	request.Header.Set("Accept", "*/*")
	response, err := client.Do(request)
	if err != nil {
		return
	}
	defer response.Body.Close()
	io.ReadAll(io.LimitReader(response.Body, 10<<10))
}

func main() {
	keepAlive := flag.Bool("keep-alive", false, "keep connections")
	flag.Parse()
	n, err := strconv.Atoi(flag.Arg(1))
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubelet_mimic [-keep-alive] URL N")
		os.Exit(2)
	}
	transport := &http.Transport{
		DisableKeepAlives:   !*keepAlive,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 1000,
	}
	for i := 0; i < n; i++ {
		url := fmt.Sprintf(flag.Arg(0), fmt.Sprintf("127.0.%d.%d", i/250, 1+i%250))
		go func() {
			time.Sleep(time.Duration(rand.Int63n(int64(time.Second))))
			ticker := time.NewTicker(time.Second)
			for ; ; <-ticker.C {
				probe(transport, url)
			}
		}()
	}
	select {}
}
