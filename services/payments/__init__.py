"""Who is paid, when and through whom; every riel with its reason, its approval and its posting."""
