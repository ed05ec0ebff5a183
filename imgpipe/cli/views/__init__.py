"""How results look: values of `operate` -> tables, lines and charts. Nothing here calls the cloud."""
