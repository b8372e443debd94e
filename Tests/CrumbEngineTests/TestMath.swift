import Glibc

func exp64(_ x: Double) -> Double { exp(x) }
func log64(_ x: Double) -> Double { log(x) }
