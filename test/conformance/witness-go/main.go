// Command witness-go speaks C2SP tlog-witness with the reference code of Go's checksum database (golang.org/x/mod/sumdb/note
// and tlog) and cosignature/v1 by the letter of C2SP tlog-cosignature. It shares no code with the witness that it talks to.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const cosignatureV1 = 0x04

func keyHash(name string, key ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{cosignatureV1})
	h.Write(key)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func cosignedMessage(timestamp uint64, text []byte) []byte {
	return append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", timestamp)), text...)
}

// cosigner is a note.Verifier of type 0x04.
type cosigner struct {
	name string
	key  ed25519.PublicKey
	time uint64
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return keyHash(c.name, c.key) }
func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	c.time = binary.BigEndian.Uint64(signature)
	return c.time < 1<<63 && ed25519.Verify(c.key, cosignedMessage(c.time, text), signature[8:])
}

func parseCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a verifier key")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != cosignatureV1 {
		return nil, errors.New("not a verifier key of type 0x04")
	}
	c := &cosigner{name: parts[0], key: raw[1:]}
	if fmt.Sprintf("%08x", c.KeyHash()) != parts[1] {
		return nil, errors.New("the hash in the verifier key is another one")
	}
	return c, nil
}

func parseTree(text string) (tlog.Tree, error) {
	var tree tlog.Tree
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return tree, errors.New("not a checkpoint")
	}
	if _, err := fmt.Sscan(lines[1], &tree.N); err != nil {
		return tree, err
	}
	var err error
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// submit sends the request on standard input to a witness. It prints the status and content type, then the body of a refusal or
// the time of the cosignature.
func submit(prefix, vkey string) error {
	witness, err := parseCosigner(vkey)
	if err != nil {
		return err
	}
	request, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	answer, err := http.Post(prefix+"/add-checkpoint", "", bytes.NewReader(request))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	fmt.Printf("%d %s\n", answer.StatusCode, answer.Header.Get("Content-Type"))
	if answer.StatusCode != 200 {
		fmt.Printf("%s", body)
		return nil
	}
	_, checkpoint, found := bytes.Cut(request, []byte("\n\n"))
	if !found {
		return errors.New("the request has no checkpoint")
	}
	opened, err := note.Open(append(checkpoint, body...), note.VerifierList(witness))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != 1 {
		return errors.New("not one cosignature of this witness")
	}
	fmt.Printf("cosigned at %d\n", witness.time)
	return nil
}

// server is a witness of one log that remembers in memory.
type server struct {
	mu   sync.Mutex
	log  note.Verifier
	seen tlog.Tree
	last []byte
	name string
	key  ed25519.PrivateKey
}

func (s *server) add(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<17))
	head, checkpoint, found := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	var old int64
	if _, scanned := fmt.Sscanf(lines[0], "old %d", &old); err != nil || !found || scanned != nil || len(lines) > 64 {
		http.Error(w, "malformed", http.StatusBadRequest)
		return
	}
	if origin, _, _ := strings.Cut(string(checkpoint), "\n"); origin != s.log.Name() {
		http.Error(w, "unknown log", http.StatusNotFound)
		return
	}
	opened, err := note.Open(checkpoint, note.VerifierList(s.log))
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	tree, err := parseTree(opened.Text)
	if err != nil || old > tree.N {
		http.Error(w, "malformed", http.StatusBadRequest)
		return
	}
	if old != s.seen.N {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, "%d\n", s.seen.N)
		return
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			http.Error(w, "malformed", http.StatusBadRequest)
			return
		}
		proof = append(proof, hash)
	}
	switch {
	case old == tree.N && old > 0 && tree.Hash != s.seen.Hash:
		http.Error(w, "another root", http.StatusConflict)
		return
	case old == 0 || old == tree.N: // the reference code has no proof from the empty tree, nor between equal ones
		if len(proof) > 0 {
			http.Error(w, "a proof where none belongs", http.StatusUnprocessableEntity)
			return
		}
	default:
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old, s.seen.Hash); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
	}
	now := uint64(time.Now().Unix())
	stamped := binary.BigEndian.AppendUint64(nil, now)
	stamped = append(stamped, ed25519.Sign(s.key, cosignedMessage(now, []byte(opened.Text)))...)
	blob := binary.BigEndian.AppendUint32(nil, keyHash(s.name, s.key.Public().(ed25519.PublicKey)))
	line := fmt.Sprintf("— %s %s\n", s.name, base64.StdEncoding.EncodeToString(append(blob, stamped...)))
	s.seen, s.last = tree, append(append([]byte{}, checkpoint...), line...)
	// a line of a key that nobody asked for must be passed over
	fmt.Fprintf(w, "— stranger.example/w %s\n%s", base64.StdEncoding.EncodeToString(make([]byte, 76)), line)
}

// serve runs a witness of one log on a free port and prints its verifier key and address.
func serve(name, logKey string) error {
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	s := &server{log: verifier, name: name, key: private}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("%s+%08x+%s\n", name, keyHash(name, public), base64.StdEncoding.EncodeToString(append([]byte{cosignatureV1}, public...)))
	fmt.Printf("http://%s\n", listener.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("/add-checkpoint", s.add)
	mux.HandleFunc(fmt.Sprintf("/%x/checkpoint", sha256.Sum256([]byte(verifier.Name()))), func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write(s.last)
	})
	return http.Serve(listener, mux)
}

// Usage: witness-go submit PREFIX VKEY <REQUEST | witness-go serve NAME LOG-VKEY
func main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "submit":
		err = submit(os.Args[2], os.Args[3])
	case len(os.Args) == 4 && os.Args[1] == "serve":
		err = serve(os.Args[2], os.Args[3])
	default:
		err = errors.New("usage: witness-go submit PREFIX VKEY | serve NAME LOG-VKEY")
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
