"""Generated inputs for every public function, and what may come of them."""
