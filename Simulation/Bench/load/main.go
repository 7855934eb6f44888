// Load for a key-value cluster over TLS: so many clients, each with a connection of its own and one request at a time.
// The same program, clock and values for Holdfast (HTTP/1.1, PUT and GET on /v1/kv) and for etcd (gRPC through its own client),
// so that what differs is the cluster. Every client speaks to one member; clients are spread evenly over the members.
//
//	load -system holdfast -endpoints 127.0.0.1:7443,... -ca ca.pem -cert c.pem -key k.pem -clients 64 -seconds 5 -do put
//
// -do: put (256-byte values), get (linearizable), local (from the member's own state). Prints one JSON object. A refused or
// failed request is counted and not timed. Besides: failover (failover.go) and leader, which prints the place of etcd's leader
// among the endpoints. With -keys every client writes so many keys, one after the other.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
)

type result struct {
	System    string  `json:"system"`
	Do        string  `json:"do"`
	Clients   int     `json:"clients"`
	Seconds   float64 `json:"seconds"`
	Requests  int     `json:"requests"`
	Failures  int64   `json:"failures"`
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50Milliseconds"`
	P99       float64 `json:"p99Milliseconds"`
	Words     string  `json:"firstFailure,omitempty"`
}

// request does one request of a client's; number is how many it has done before.
type request func(number int) error

var (
	keys       int
	onlyKey    string
	valueBytes int
	limit      time.Duration
)

// keyOf names what a client writes or reads with its request of that number.
func keyOf(client, number int) string {
	if onlyKey != "" {
		return onlyKey
	}
	if keys <= 1 {
		return fmt.Sprintf("bench-%d", client)
	}
	return fmt.Sprintf("bench-%d-%d", client, number%keys)
}

func main() {
	system := flag.String("system", "holdfast", "holdfast or etcd")
	endpoints := flag.String("endpoints", "", "host:port, separated by commas")
	ca := flag.String("ca", "", "the authority's certificate")
	cert := flag.String("cert", "", "the client's certificate")
	key := flag.String("key", "", "its key")
	clients := flag.Int("clients", 1, "how many")
	seconds := flag.Float64("seconds", 5, "how long")
	do := flag.String("do", "put", "put, get, local, failover or leader")
	flag.IntVar(&keys, "keys", 1, "how many keys each client writes in turn")
	flag.StringVar(&onlyKey, "write", "", "the one key that is written or read")
	flag.IntVar(&valueBytes, "bytes", 256, "of a value")
	most := flag.Int("requests", 0, "end after so many requests of each client, whatever -seconds says; 0: no")
	flag.DurationVar(&limit, "limit", 10*time.Second, "how long a request may take")
	leader := flag.Int("leader", 0, "failover: the place of the leader among the endpoints")
	victim := flag.Int("victim", 0, "failover: the process of the leader")
	skipName := flag.Bool("any-name", false, "the server's certificate is checked against the authority, not for its name")
	flag.Parse()

	config := trust(*ca, *cert, *key, *skipName)
	members := strings.Split(*endpoints, ",")
	if *do == "leader" {
		fmt.Println(leaderOfEtcd(members, config))
		return
	}
	isFailover := *do == "failover"
	if isFailover {
		*clients, *do = len(members), "put"
	}
	made := make([]request, *clients)
	for i := range made {
		member := members[i%len(members)]
		if *system == "etcd" {
			made[i] = etcd(member, config, *do, i)
		} else {
			made[i] = holdfast(member, config, *do, i)
		}
	}
	// One request each first: connections stand, and keys exist.
	for _, each := range made {
		if err := each(0); err != nil {
			fail("the first request failed: %v", err)
		}
	}
	if isFailover {
		failover(*system, made, *leader, *victim)
		return
	}
	var failures int64
	var words atomic.Value
	times := make([][]time.Duration, *clients)
	begin := time.Now()
	end := begin.Add(time.Duration(*seconds * float64(time.Second)))
	var group sync.WaitGroup
	for i := range made {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			for number := 1; ; number++ {
				asked := time.Now()
				if asked.After(end) || (*most > 0 && number > *most) {
					return
				}
				if err := made[i](number); err != nil {
					atomic.AddInt64(&failures, 1)
					words.CompareAndSwap(nil, err.Error())
					continue
				}
				times[i] = append(times[i], time.Since(asked))
			}
		}(i)
	}
	group.Wait()
	took := time.Since(begin).Seconds()
	var all []time.Duration
	for _, some := range times {
		all = append(all, some...)
	}
	if len(all) == 0 {
		fail("no request succeeded: %v", words.Load())
	}
	sort.Slice(all, func(a, b int) bool { return all[a] < all[b] })
	at := func(share float64) float64 { return float64(all[int(share*float64(len(all)-1))]) / 1e6 }
	first, _ := words.Load().(string)
	json.NewEncoder(os.Stdout).Encode(result{
		*system, *do, *clients, took, len(all), failures, float64(len(all)) / took, at(0.5), at(0.99), first})
}

func holdfast(member string, config *tls.Config, do string, client int) request {
	transport := &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 1, DisableCompression: true}
	caller := &http.Client{Transport: transport, Timeout: limit}
	body, _ := json.Marshal(map[string]string{"value": strings.Repeat("v", valueBytes)})
	return func(number int) error {
		url := "https://" + member + "/v1/kv/" + keyOf(client, number)
		var asked *http.Request
		switch {
		case do == "put" || number == 0:
			asked, _ = http.NewRequest("PUT", url, bytes.NewReader(body))
			asked.Header.Set("Content-Type", "application/json")
		case do == "get":
			asked, _ = http.NewRequest("GET", url+"?consistency=linearizable", nil)
		default:
			asked, _ = http.NewRequest("GET", url+"?consistency=local", nil)
		}
		answer, err := caller.Do(asked)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		said, err := io.ReadAll(answer.Body)
		if err == nil && answer.StatusCode/100 != 2 {
			return fmt.Errorf("%s: %s", answer.Status, said)
		}
		return err
	}
}

func etcd(member string, config *tls.Config, do string, client int) request {
	caller, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + member}, TLS: config, DialTimeout: 5 * time.Second})
	if err != nil {
		fail("%v", err)
	}
	value := strings.Repeat("v", valueBytes)
	return func(number int) error {
		key := keyOf(client, number)
		within, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		var err error
		switch {
		case do == "put" || number == 0:
			_, err = caller.Put(within, key, value)
		case do == "get":
			_, err = caller.Get(within, key)
		default:
			_, err = caller.Get(within, key, clientv3.WithSerializable())
		}
		return err
	}
}

// leaderOfEtcd asks every member who leads, as its status says.
func leaderOfEtcd(members []string, config *tls.Config) int {
	for place, member := range members {
		caller, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + member}, TLS: config, DialTimeout: 5 * time.Second})
		if err != nil {
			fail("%v", err)
		}
		within, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		status, err := caller.Status(within, "https://"+member)
		cancel()
		if err == nil && status.Leader == status.Header.MemberId {
			return place
		}
	}
	fail("no member of etcd leads")
	return 0
}

func trust(ca, cert, key string, anyName bool) *tls.Config {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		fail("%v", err)
	}
	authority, err := os.ReadFile(ca)
	if err != nil {
		fail("%v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		fail("%s holds no certificate", ca)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS13}
	if anyName {
		// Members of Holdfast are named by their keys, not by host names.
		config.InsecureSkipVerify = true
		config.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
			leaf, err := x509.ParseCertificate(raw[0])
			if err != nil {
				return err
			}
			_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			return err
		}
	}
	return config
}

func fail(format string, arguments ...interface{}) {
	fmt.Fprintf(os.Stderr, "error: "+format+"\n", arguments...)
	os.Exit(1)
}
