package console

// Stripper takes escape sequences (ECMA-48) and carriage returns out of a
// byte stream. Sequences may be split over calls.
type Stripper struct{ state byte }

const (
	plain  = iota
	escape // after ESC
	csi    // ESC [ ... final byte 0x40-0x7e
	str    // ESC ] P X ^ _ ... BEL or ESC \
	strEsc // ESC inside a string
	inter  // ESC with intermediate bytes 0x20-0x2f, as in ESC ( B
)

// Append adds the plain text of p to dst.
func (s *Stripper) Append(dst, p []byte) []byte {
	for _, c := range p {
		switch s.state {
		case plain:
			switch {
			case c == 0x1b:
				s.state = escape
			case c == '\n' || c == '\t' || c >= 0x20 && c != 0x7f:
				dst = append(dst, c)
			}
		case escape:
			switch {
			case c == '[':
				s.state = csi
			case c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_':
				s.state = str
			case c >= 0x20 && c <= 0x2f:
				s.state = inter
			case c == 0x1b:
			default:
				s.state = plain
			}
		case csi:
			switch {
			case c >= 0x40 && c <= 0x7e:
				s.state = plain
			case c == 0x1b:
				s.state = escape
			case c == '\n': // no sequence spans lines: this one was broken
				s.state = plain
				dst = append(dst, c)
			}
		case str:
			switch c {
			case 0x07:
				s.state = plain
			case 0x1b:
				s.state = strEsc
			case '\n':
				s.state = plain
				dst = append(dst, c)
			}
		case strEsc:
			s.state = plain
			if c != '\\' {
				s.state = escape
				dst = s.Append(dst, []byte{c})
			}
		case inter:
			if c < 0x20 || c > 0x2f {
				s.state = plain
			}
		}
	}
	return dst
}
