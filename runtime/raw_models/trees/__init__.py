"""Models of trees as their trainers write them: recognised by content, made files of trees."""
