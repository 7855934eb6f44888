print("holdfast-lab")
